// Modules that bundle.ts writes.

/** The files of test/fixtures by name. */
declare module "limbeck:fixtures" {
  const fixtures: Readonly<Record<string, Uint8Array>>;
  export default fixtures;
}

/** The test files of the bundle by path. */
declare module "limbeck:tests" {
  const tests: Readonly<Record<string, () => Promise<unknown>>>;
  export default tests;
}
