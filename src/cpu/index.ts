/** The software processor, as the other rooms see it. */
export { BREAKPOINTS_MAX, type DebugTable, type Watchpoint, writeDebugTable } from "./debug-table.raw.js";
export { ACCESS_EXECUTE, ACCESS_READ, ACCESS_WRITE, compileCore, compileCoreAtOnce, createCore, TRANSLATE_FAULT, TRANSLATE_MISSING } from "./core.raw.js";
export type { Core, CoreOptions } from "./core.raw.js";
export { formatLockStepDifference, type LockStepDifference, type LockStepFigures, LockStepReport, type LockStepValue, sumLockStep } from "./lock-step-report.js";
export { type LibraryHost, type Recipe, regionLookUp, TranslationLibrary } from "./translator/library.js";
export { ImmediateTranslations, translate, type Translation, type TranslationJob, type TranslationService } from "./translator/translate.js";
export type { TranslatorOptions } from "./translator/translator.js";
export { type Tier, TIER_DEFAULT, TIERS, translatorOptions } from "./translator/tiers.js";
export { type AddressTranslationFigures, RAX, RBX, RCX, RDI, RDX, RSI, type TranslationFigures, VcpuState, vcpuStateAddress } from "./vcpu-state.raw.js";
