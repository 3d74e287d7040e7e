// limbeck, the command. Exit codes: 0 done; 1 it failed; 2 usage or bad input; 130 stopped by Ctrl-C.

import { endWithReader, fail } from "./failure.ts";
import { limbeck } from "./limbeck.ts";

endWithReader();
try {
  await limbeck().parseAsync();
} catch (error) {
  process.exitCode = fail(error);
}
