/** Thread of the translator: WebAssembly for what the vCPUs have found to be hot, while they go on in the interpreter. */
import { type Recipe, translate, type TranslationJob, TranslationLibrary } from "../cpu/index.js";
import { keepFreedMemory, onOwnerMessage, postToOwner, threadData, withHints } from "../platform/node/index.js";
import { KeptRegions, libraryHost } from "./kept-code.js";
import type { TranslatorThreadStart } from "./messages.js";

// For V8's compilers, which work for this thread and for the processor core.
keepFreedMemory();
const { memory, vcpus, kept, tier } = threadData<TranslatorThreadStart>();
const regions = kept && new KeptRegions(kept);
// One vCPU alone has nobody to share with.
const library = regions === undefined && vcpus.length === 1 ? undefined : new TranslationLibrary(libraryHost(memory), regions?.load());
// The vCPU that asked may need it again, when it has decoded the same code anew.
const onNew = (recipe: Recipe): void => {
  for (const pipe of vcpus) pipe.postMessage([recipe]);
};
// What has been seen once is not worth the optimising compiler, which would be far behind.
const withRegionHints = <T>(compile: () => T): T => withHints(compile, tier === "both");
for (const pipe of vcpus) {
  if (library !== undefined) pipe.postMessage(library.recipes());
  pipe.on("message", (job: TranslationJob) => translate(memory, job, (translation) => pipe.postMessage(translation), { library, onNew, withHints: withRegionHints }));
}
// The only message says that the machine has ended.
onOwnerMessage(() => {
  const saved = regions && library?.save();
  if (saved !== undefined) regions!.save(saved);
  postToOwner("saved");
});
