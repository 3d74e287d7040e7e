// Writes docs/errors.md: every code of src/errorCodes.ts with its cause and remedy, and the messages that src/ gives it.
//   node docs/errors.mjs            with --check it only says, by its exit code, whether the file is what it would write
// Messages are found in the compiler's syntax trees: the arguments of each `new LimbeckError` (or a class of it). Where code or message is a
// parameter of the function around it, they are what the calls of that function give. What is known only at run time stands as ‹name›.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { SyntaxKind } from "typescript/unstable/ast";
import * as is from "typescript/unstable/ast/is";
import { API } from "typescript/unstable/sync";

const root = fileURLToPath(new URL("..", import.meta.url));
const CLASSES = ["LimbeckError", "InputError", "NonfiniteError"];

/** What src/ has: errors and calls, with the functions around them, and the constants. */
function readSources() {
  const found = { errors: [], calls: [], constants: [] };
  const api = new API({ cwd: root });
  const [{ program }] = api.updateSnapshot({ openProjects: [join(root, "tsconfig.json")] }).getProjects();
  const files = program.getSourceFileNames().filter((file) => file.startsWith(join(root, "src/")));
  for (const file of files.sort()) visit(program.getSourceFile(file), { file, around: [] });
  api.close();
  return found;

  function visit(node, place) {
    if (is.isNewExpression(node) && CLASSES.includes(nameOf(node.expression))) found.errors.push({ node, ...place });
    if (is.isCallExpression(node)) found.calls.push({ node, name: nameOf(node.expression), ...place });
    if (is.isVariableDeclaration(node) && node.initializer)
      found.constants.push({ node: node.initializer, name: nameOf(node), ...place });
    const around = node.parameters && node.body ? [node, ...place.around] : place.around;
    node.forEachChild((child) => visit(child, { ...place, around }));
  }
}

const { errors, calls, constants } = readSources();

function nameOf(node) {
  return node?.name?.text ?? node?.text;
}

/** Calls of a function: in its own file, unless it is exported or a method. */
function callsOf(owner, file) {
  const name = nameOf(owner) ?? nameOf(owner.parent);
  const shared = is.isMethodDeclaration(owner) || (owner.modifiers ?? []).length > 0;
  return calls.filter((call) => call.name === name && (shared || call.file === file));
}

/** [code, message] of an error, once for each call that decides them. */
function* formsOf({ node, file, around }) {
  const [code, message] = node.arguments;
  const mentioned = new Set([...identifiersIn(code), ...identifiersIn(message)]);
  const owner = around.find(({ parameters }) => parameters.some((parameter) => mentioned.has(nameOf(parameter))));
  const sites = owner ? callsOf(owner, file) : [];
  const given = sites.map((call) => {
    const place = (parameter, i) => {
      const argument = call.node.arguments[i];
      return argument ? { ...call, node: argument } : { node: parameter.initializer, file, around };
    };
    return new Map(owner.parameters.map((parameter, i) => [nameOf(parameter), place(parameter, i)]));
  });
  for (const bound of given.length > 0 ? given : [new Map()])
    for (const known of textsOf(code, { file, around }, bound))
      for (const text of textsOf(message, { file, around }, bound)) yield [known, text];
}

function identifiersIn(node) {
  if (is.isIdentifier(node)) return [node.text];
  const found = [];
  node.forEachChild((child) => {
    found.push(...identifiersIn(child));
  });
  return found;
}

/** All that a text expression may be. `bound`: the expressions that a call gives for parameters. */
function textsOf(node, place, bound = new Map()) {
  if (is.isStringLiteral(node) || is.isNoSubstitutionTemplateLiteral(node)) return [node.text];
  if (is.isParenthesizedExpression(node)) return textsOf(node.expression, place, bound);
  if (is.isConditionalExpression(node))
    return [node.whenTrue, node.whenFalse].flatMap((arm) => textsOf(arm, place, bound));
  if (isSum(node)) return product(textsOf(node.left, place, bound), textsOf(node.right, place, bound));
  if (is.isTemplateExpression(node))
    return node.templateSpans.reduce(
      (texts, { expression, literal }) => product(product(texts, textsOf(expression, place, bound)), [literal.text]),
      [node.head.text],
    );
  if (is.isIdentifier(node)) {
    const meant = bound.get(node.text) ?? defaultOf(node.text, place) ?? constantOf(node.text, place);
    const found = meant?.node ? textsOf(meant.node, meant) : [];
    if (found.some((text) => !/^‹[^›]*›$/.test(text))) return found;
  }
  return [`‹${shortName(node)}›`];
}

function isSum(node) {
  return (
    is.isBinaryExpression(node) &&
    node.operatorToken.kind === SyntaxKind.PlusToken &&
    (says(node.left) || says(node.right))
  );
}

/** Whether there are words in it. */
function says(node) {
  return (
    is.isStringLiteral(node) ||
    is.isTemplateExpression(node) ||
    is.isNoSubstitutionTemplateLiteral(node) ||
    isSum(node) ||
    (is.isParenthesizedExpression(node) && says(node.expression)) ||
    (is.isConditionalExpression(node) && (says(node.whenTrue) || says(node.whenFalse)))
  );
}

/** The constant of this name in the innermost function that has one, or the only one of that name anywhere. */
function constantOf(name, { file, around }) {
  const named = constants.filter((constant) => constant.name === name);
  const own = named.filter((constant) => constant.file === file);
  for (const owner of [...around, undefined]) {
    const here = own.find((constant) => constant.around[0] === owner);
    if (here) return here;
  }
  return named.length === 1 ? named[0] : undefined;
}

/** What ({ name = … }) says of a function around. */
function defaultOf(name, { file, around }) {
  const elements = around.flatMap(({ parameters }) => parameters.flatMap((parameter) => parameter.name.elements ?? []));
  const element = elements.find((own) => nameOf(own) === name && own.initializer);
  return element && { node: element.initializer, file, around };
}

/** More forms than anybody would read become one. */
function product(left, right) {
  const all = left.flatMap((a) => right.map((b) => a + b));
  return all.length <= 6 ? all : left.map((a) => `${a}‹…›`);
}

/** quote(name), wrong.length, [...names].join(", ") → name, wrong, names */
function shortName(node) {
  return identifiersIn(node).find((name) => !/^(quote|formatCount|String|Number|Object|JSON|Math)$/.test(name)) ?? "…";
}

/** By code: its class, so its exit code, and its messages. */
function messages() {
  const found = new Map();
  for (const error of errors)
    for (const [code, text] of formsOf(error)) {
      const known = found.get(code) ?? { input: false, failure: false, texts: new Set() };
      known[nameOf(error.node.expression) === "InputError" ? "input" : "failure"] = true;
      known.texts.add(text.replace(/\s+/g, " ").trim());
      found.set(code, known);
    }
  return found;
}

async function loadCodes() {
  const { outputFiles } = await build({
    entryPoints: [join(root, "src/errorCodes.ts")],
    ...{ bundle: true, write: false, format: "esm" },
  });
  return (await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`)).errorCodes;
}

function pageOf(groups) {
  const found = messages();
  const entry = ([code, [cause, remedy]]) => {
    const { input, failure, texts } = found.get(code) ?? {};
    if (!texts) throw new Error(`no error in src/ has the code ${code}: remove it from src/errorCodes.ts`);
    const exit = [input && "2", failure && "1"].filter(Boolean).join(" or ");
    // A code span in which backquotes may stand.
    const lines = [...texts].map((text) => `- \`\` ${text} \`\``);
    return `### ${code}\n\nExit code ${exit}. ${cause} **${remedy}**\n\n${lines.join("\n")}\n`;
  };
  const sections = Object.entries(groups).map(
    ([title, codes]) => `## ${title}\n\n${Object.entries(codes).map(entry).join("\n")}`,
  );
  return `${HEAD}\n${sections.join("\n")}`;
}

const HEAD = `# Errors

<!-- Written by docs/errors.mjs from src/: do not edit. -->

Every error that limbeck throws on purpose is a \`LimbeckError\` with a stable \`code\`; with \`--json\` the command says it as
\`{"type":"error","code":…,"message":…}\`. The message begins with the place (file and line, tensor, option). An \`InputError\` is of your files, data or
options, and the command exits with 2; with the others it exits with 1. Wrong flags are refused by the command's own parser, with 2 as well: it names the
flag and what it expected. An error without a code, shown with a stack, is a defect: please report it.

Below are, for each code, its cause, **what to do**, and its messages; ‹names› stand for what is known when it happens.
`;

const page = join(root, "docs/errors.md");
const text = pageOf(await loadCodes());
if (process.argv.includes("--check")) process.exitCode = readFileSync(page, "utf8") === text ? 0 : 1;
else writeFileSync(page, text);
