// Parts of speech of the words of a text: from the data file, or by the package `compromise`, which is looked for when it is asked for.

import { InputError } from "../../errors.ts";
import type { Examples } from "../examples.ts";
import { type Tagged, wordsOf } from "./words.ts";

/** What is used of compromise: its terms in order, with the white space and punctuation around them. */
type Compromise = (text: string) => {
  termList(): { pre: string; text: string; post: string; tags?: Set<string> | undefined }[];
};

/** compromise's tags that tell a word's place in a sentence, the finer ones first, as fine as the Penn treebank's. */
const TAGS = [
  ...[
    "Negative",
    "QuestionWord",
    "Possessive",
    "Pronoun",
    "ProperNoun",
    "Plural",
    "Noun",
    "Modal",
    "Copula",
    "Auxiliary",
  ],
  ...[
    "Participle",
    "Gerund",
    "PastTense",
    "Infinitive",
    "PresentTense",
    "Verb",
    "Comparative",
    "Superlative",
    "Adjective",
  ],
  ...["Adverb", "Preposition", "Conjunction", "Determiner", "Value", "Expression"],
];

/** One tag a word: that of the word's first term; its own class for what has no letter and no digit. */
export function tagWords(nlp: Compromise, text: string): string[] {
  const words = wordsOf(text);
  const tags: string[] = words.map((word) => (/[\p{L}\p{N}]/u.test(word) ? "" : "Punctuation"));
  let [word, left] = [0, words[0]?.length ?? 0];
  for (const term of nlp(text).termList()) {
    // compromise keeps every character: in what it calls before, in, or behind a term.
    left -= visible(term.pre);
    while (left <= 0 && word + 1 < words.length) left += words[++word].length;
    if (tags[word] === "" && term.text !== "") tags[word] = TAGS.find((tag) => term.tags?.has(tag)) ?? "Other";
    left -= visible(term.text) + visible(term.post);
  }
  return tags;
}

const visible = (text: string) => text.replace(/\s+/g, "").length;

/** Tags of every example, in their order. */
export async function tagExamples(examples: Examples, file: string): Promise<Tagged[]> {
  const given = examples.map(({ tags }) => tags);
  if (given.every((tags) => tags !== undefined)) return given;
  const { default: nlp } = await import("compromise/two").catch((cause) => {
    throw new InputError(
      "NO_TAGGER",
      "replacing words by others of the same part of speech needs their tags: name a column (--tag-column), run `npm install compromise`, or leave it out with --no-pos.",
      { where: file, cause },
    );
  });
  return examples.map(({ text, pair }) => [tagWords(nlp, text), tagWords(nlp, pair ?? "")]);
}
