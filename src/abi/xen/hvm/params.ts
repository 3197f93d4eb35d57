/** public/hvm/params.h: indices of the HVM parameters. */
export const HVM_PARAM_CALLBACK_IRQ = 0;
export const HVM_PARAM_STORE_PFN = 1;
export const HVM_PARAM_STORE_EVTCHN = 2;
export const HVM_PARAM_CONSOLE_PFN = 17;
export const HVM_PARAM_CONSOLE_EVTCHN = 18;
export const HVM_NR_PARAMS = 44;
/** Bits 63..56 of HVM_PARAM_CALLBACK_IRQ: what the low bits mean. */
export const HVM_PARAM_CALLBACK_TYPE_VECTOR = 2;
