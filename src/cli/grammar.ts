// Reviews for the demo, from a seeded grammar. A symbol is expanded for a polarity: "=x" keeps it, "!x" turns it round, "~x"
// has none; other words stand for themselves, and a leading number weighs a production. So a label is what the sentences
// mean, however their words sound:
//   =review → although !clause , =clause → although the soup was bland , the waiter was anything but rude
// What makes it hard is in the language: negation, contrast, concession, hearsay, other places, counting, irony, and rare
// words (the k-th word of a list has weight 1/(k + 2), as Zipf's law would). "un+tidy" is written "untidy"; the vocabulary
// has its pieces, "un" and "##tidy".

import { loadTokenizer, type Tokenizer } from "../data/tokenizer.ts";
import { Random } from "../random.ts";

export interface Review {
  readonly text: string;
  readonly label: "negative" | "positive";
}

/** 1 positive, -1 negative. */
type Polarity = 1 | -1;

interface Productions {
  readonly both?: readonly string[];
  readonly positive?: readonly string[];
  readonly negative?: readonly string[];
  /** Weights by rank, as words have them. */
  readonly ranked?: boolean;
}

const words = (text: string) => text.trim().split(/\s+/);
const polar = (positive: string, negative: string): Productions => ({
  positive: words(positive),
  negative: words(negative),
  ranked: true,
});
const things = (...both: string[]): Productions => ({ both, ranked: true });

const COMMON: Readonly<Record<string, Productions>> = {
  review: {
    both: [
      "24 =clause",
      "12 =clause and =clause",
      "12 ~fact . =clause",
      "8 =clause . ~fact",
      "4 !clause , but =clause",
      "2 although !clause , =clause",
      "2 =clause , even though !clause",
      "1 !clause . still , =clause",
      "1 yes , !clause . what counts is that =clause",
      "1 unlike the ~place next door , where !claim , here =clause",
      "1 at the ~place next door !claim . not here : =clause",
      "1 !clause . all in all , =verdict",
      "1 ~fact . !clause , but =verdict",
      "1 =claim , =claim and !claim",
      "1 !claim , =claim and =claim",
      "1 =claim , !claim and =claim",
      "3 =irony",
      "1 ~fact . =irony",
      "1 !clause , and then =irony",
    ],
  },
  claim: {
    both: ["4 the ~aspect was =adjective", "2 the ~aspect was ~degree =adjective", "1 the ~aspect felt =adjective"],
  },
  clause: {
    both: [
      "90 =claim",
      "4 the ~aspect was not !adjective",
      "2 the ~aspect was hardly !adjective",
      "2 the ~aspect was anything but !adjective",
      "2 the ~aspect was far from !adjective",
      "2 nobody could call the ~aspect !adjective",
      "2 i would not say that the ~aspect was !adjective",
      "1 it is not true that the ~aspect was !adjective",
      "1 i would not say that the ~aspect was not =adjective",
      "1 the ~aspect could not have been more =adjective",
      "2 ~people said the ~aspect would be !adjective , which was wrong",
      "1 ~people said the ~aspect would be =adjective , which was right",
      "2 they promised that the ~aspect would be !adjective and we got the opposite",
      "1 where others found the ~aspect !adjective , i found it =adjective",
      "2 the ~aspect used to be !adjective but not any more",
      "2 i =feel the ~aspect",
      "1 i did not !feel the ~aspect",
    ],
    positive: ["2 i feared that the ~aspect would be !adjective , for no reason"],
    negative: ["2 if only the ~aspect had been !adjective"],
  },
  verdict: {
    both: ["2 it was =adjective"],
    positive: ["2 i would come back", "1 i regret nothing", "1 i would choose it again", "1 ~people should try it too"],
    negative: ["2 i would not come back", "1 i regret it", "1 i would not choose it again", "1 nobody should try it"],
  },
  irony: {
    both: ["2 i tried to find something !adjective and failed"],
    positive: [
      "2 i feared ~mishap , but it never came",
      "2 no ~mishap , no ~mishap , nothing to complain about",
      "2 oh no , now i have to tell everybody how =adjective the ~aspect was",
      "1 the only !adjective thing was that we had to leave",
    ],
    negative: [
      "2 oh how !adjective , ~mishap again",
      "2 i just love ~mishap after ~mishap",
      "2 thank you for ~mishap , it was a truly !adjective end to our day",
      "1 the only !adjective thing was that we could leave",
    ],
  },
  adjective: { both: ["3 =general", "2 =special"] },
  general: polar(
    `good great nice lovely wonderful excellent perfect fine superb pleas+ant charm+ing brilliant delight+ful
     fabulous impressive solid flaw+less splendid fair decent admir+able gorgeous master+ful faultless terrific
     grace+ful marvel+lous thought+ful price+less remark+able exquisite sublime`,
    `bad awful terrible poor horrible disappoint+ing dread+ful mediocre dismal un+pleas+ant shabby annoy+ing
     miser+able useless hope+less lousy cheap ghastly careless un+accept+able atrocious appall+ing deplor+able
     abysmal shame+ful point+less wretched joy+less laugh+able pathetic regrett+able inexcus+able`,
  ),
  feel: polar("love like enjoy admire adore recommend treasure", "hate dislike regret loathe resent detest despise"),
  degree: things("very", "really", "so", "quite", "rather", "truly", "almost too", "as always"),
  people: things("my brother", "my sister", "a friend", "the guide", "everybody", "my mother", "the internet"),
  number: things("two", "three", "four", "five", "six", "seven"),
  month: things("may", "june", "july", "october", "winter", "spring"),
};

const DOMAINS: readonly Readonly<Record<string, Productions>>[] = [
  {
    place: things("hotel", "inn", "hostel", "guest house"),
    aspect: things(
      "room",
      "bed",
      "staff",
      "view",
      "bath+room",
      "pool",
      "lobby",
      "garden",
      "shower",
      "balcony",
      "terrace",
    ),
    special: polar(
      `clean quiet friendly comfort+able help+ful tidy spacious cosy polite wel+coming spotless bright hospit+able
       rest+ful serene`,
      `dirty noisy rude un+comfort+able un+help+ful un+tidy smelly damp un+friendly mouldy dark stuffy cramped
       rest+less inhospit+able`,
    ),
    mishap: things("a broken lift", "cold water", "a lost booking", "hair in the sink", "a party until four", "mice"),
    fact: things(
      "we stayed for ~number nights",
      "we went there in ~month",
      "the ~place is near the station",
      "our room had ~number windows",
      "~people had booked it for us",
    ),
  },
  {
    place: things("restaurant", "cafe", "bar", "bakery"),
    aspect: things("food", "soup", "service", "waiter", "bread", "coffee", "fish", "wine", "menu", "dessert", "sauce"),
    special: polar(
      `fresh tasty delicious warm crisp tender taste+ful juicy flavour+ful fragrant creamy succulent moreish
       home+made season+al`,
      `bland cold stale greasy taste+less burnt soggy flavour+less salty tough rancid watery un+season+ed sour
       un+eat+able`,
    ),
    mishap: things("an hour of waiting", "a wrong order", "hair in the soup", "a second bill", "burnt toast", "flies"),
    fact: things(
      "we ate there in ~month",
      "we were a table of ~number",
      "i had the ~aspect and my sister had the ~aspect",
      "the ~place is near the river",
      "~people paid for us",
    ),
  },
  {
    place: things("shop", "store", "market", "dealer"),
    aspect: things("phone", "screen", "battery", "camera", "sound", "keyboard", "charger", "software", "case", "lens"),
    special: polar(
      `fast reliable sturdy sharp useful light smart us+able dur+able efficient respons+ive robust accurate intuitive
       depend+able`,
      `slow un+reliable fragile blurry broken heavy laggy un+us+able flimsy faulty un+respons+ive buggy inaccurate
       clumsy un+depend+able`,
    ),
    mishap: things(
      "a black screen",
      "a dead battery",
      "another update",
      "a lost password",
      "a loud fan",
      "error forty",
    ),
    fact: things(
      "i bought it in ~month",
      "i have used it for ~number weeks",
      "it came in a box of ~number",
      "~people has the same one",
      "the ~place had ~number of them",
    ),
  },
];

/** Text without the marks of pieces. */
const written = (marked: string) => marked.replaceAll("+", "");

class Writer {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  review(): Review {
    const domain = DOMAINS[this.#random.below(DOMAINS.length)];
    const polarity: Polarity = this.#random.below(2) === 1 ? 1 : -1;
    const text = written(this.#expand("review", polarity, domain));
    return { text, label: polarity === 1 ? "positive" : "negative" };
  }

  #expand(symbol: string, polarity: Polarity, domain: (typeof DOMAINS)[number]): string {
    const productions = domain[symbol] ?? COMMON[symbol];
    const own = polarity === 1 ? productions.positive : productions.negative;
    const candidates = [...(productions.both ?? []), ...(own ?? [])];
    const chosen = candidates[this.#draw(candidates.map((text, k) => weightOf(text, k, productions.ranked ?? false)))];
    return chosen
      .replace(/^\d+ /, "")
      .split(" ")
      .map((word) => {
        const mark = word.length > 1 ? word[0] : "";
        if (!"=!~".includes(mark) || mark === "") return word;
        return this.#expand(word.slice(1), mark === "!" ? (-polarity as Polarity) : polarity, domain);
      })
      .join(" ");
  }

  /** An index, with these weights. */
  #draw(weights: readonly number[]): number {
    let left = this.#random.uniform() * weights.reduce((a, b) => a + b, 0);
    for (let i = 0; i < weights.length; i++) {
      left -= weights[i];
      if (left < 0) return i;
    }
    return weights.length - 1;
  }
}

function weightOf(production: string, rank: number, ranked: boolean): number {
  return ranked ? 1 / (rank + 2) : Number(/^(\d+) /.exec(production)?.[1] ?? 1);
}

/** `count` reviews, all different and none of `others`. Equal seeds and paths give equal reviews. */
export function writeReviews(seed: number, path: string, count: number, others: Iterable<Review> = []): Review[] {
  const writer = new Writer(new Random(seed, `demo/${path}`));
  const seen = new Set(Array.from(others, ({ text }) => text));
  const reviews: Review[] = [];
  while (reviews.length < count) {
    const review = writer.review();
    if (seen.has(review.text)) continue;
    seen.add(review.text);
    reviews.push(review);
  }
  return reviews;
}

/** A WordPiece vocabulary of the grammar's words and pieces; letters and signs make any other word readable. */
export function vocabulary(): string[] {
  const tokens = new Set(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]);
  for (const grammar of [COMMON, ...DOMAINS])
    for (const { both = [], positive = [], negative = [] } of Object.values(grammar))
      for (const production of [...both, ...positive, ...negative])
        for (const word of production.replace(/^\d+ /, "").split(" ")) {
          if (/^[=!~]./.test(word)) continue;
          word.split("+").forEach((piece, i) => {
            tokens.add(i === 0 ? piece : `##${piece}`);
          });
        }
  for (const letter of "abcdefghijklmnopqrstuvwxyz0123456789") tokens.add(letter).add(`##${letter}`);
  for (const sign of ".,:;!?'\"()-&%$€/") tokens.add(sign);
  return [...tokens];
}

/** A BERT tokenizer of that vocabulary. */
export function grammarTokenizer(): Tokenizer {
  const lines = vocabulary().map((token) => `${token}\n`);
  return loadTokenizer(new Map([["vocab.txt", lines.join("")]]));
}
