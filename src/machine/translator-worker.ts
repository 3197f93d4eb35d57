/** Thread of the translator: WebAssembly for what the vCPUs have found to be hot, while they go on in the interpreter. */
import { translate, type TranslationJob } from "../cpu/index.js";
import { threadData } from "../platform/node/index.js";
import type { TranslatorThreadStart } from "./messages.js";

const { memory, vcpus } = threadData<TranslatorThreadStart>();
for (const pipe of vcpus) pipe.on("message", (job: TranslationJob) => translate(memory, job, (translation) => pipe.postMessage(translation)));
