// limbeck recipes: what there is, or one as a file to copy and change.

import { Command } from "commander";
import { serializeRecipe } from "../recipes/file.ts";
import { recipeNamed, recipes } from "../recipes/index.ts";
import { outputFor } from "./output.ts";

export function recipesCommand(): Command {
  return new Command("recipes")
    .description("list the recipes, or print one as a file for --recipe FILE.json")
    .argument("[name]", "the recipe to print")
    .option("--json", "the list as one JSON object per line")
    .addHelpText(
      "after",
      `
Examples:
  limbeck recipes
  limbeck recipes kd > my.json && limbeck distill --recipe my.json …`,
    )
    .action((name: string | undefined, { json }: { json?: boolean }) => {
      if (name !== undefined) {
        process.stdout.write(serializeRecipe(recipeNamed(name)));
        return;
      }
      const output = outputFor(json === true);
      const rows = Object.values(recipes).map(({ name, summary, source, stages }) => ({
        ...{ name, summary, source, stages: Object.keys(stages) },
      }));
      for (const row of rows) output.emit({ type: "recipe", ...row });
      if (json) return;
      const widest = Math.max(...rows.map((row) => row.name.length));
      for (const row of rows) {
        const stages = row.stages.length > 1 ? `; stages: ${row.stages.join(", ")}` : "";
        output.say(`${row.name.padEnd(widest)}  ${row.summary}${row.source ? ` (${row.source})` : ""}${stages}`);
      }
    });
}
