// English words that carry grammar rather than meaning; another one in their place would make another sentence, not a like one. With what
// the tokenizer leaves of contractions (don't: don, ', t). Texts of other languages have none, so more of their words are replaced.

const WORDS = `
a an the this that these those each every either neither both all any some no none such same other another own few more most much many several
i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it its itself
they them their theirs themselves who whom whose which what one ones
be am is are was were been being have has had having do does did doing done
can could may might must shall should will would ought need
and or but nor so yet if then else than because as while until unless though although since whether
of at by for with without within about against between among into onto through throughout during before after above below to from up down
in out on off over under upon toward towards across along around behind beside beyond near per via
again further once here there when where why how not only just too very also still even ever never now
d ll m o re s t ve y don didn doesn isn aren wasn weren hasn haven hadn won wouldn couldn shouldn mustn needn mightn shan ain ma`;

export const STOP_WORDS: ReadonlySet<string> = new Set(WORDS.trim().split(/\s+/));
