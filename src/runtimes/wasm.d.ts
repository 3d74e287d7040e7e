// Compiled modules as imports: where bundles lie, in dist/, those of the build are beside them.

declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}
