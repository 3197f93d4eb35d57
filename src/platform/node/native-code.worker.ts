/** Process of native-code.test.ts: restores a module from the code that it is sent, and refuses that of another one. */
import { restoreModule } from "./native-code.js";

process.once("message", ({ bytes, code }: { bytes: Uint8Array; code: Uint8Array }) => {
  const refused = restoreModule(bytes.slice(0, -1), code) === undefined;
  const module = restoreModule(bytes, code);
  const answer = module && (new WebAssembly.Instance(module).exports["twice"] as (number: number) => number)(21);
  process.send!({ restored: module !== undefined, answer, refused });
  process.disconnect();
});
