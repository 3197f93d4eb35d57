/** Which bytes the threads of part access use. */

/** Guest pages of the little host. */
export const PAGE_COUNT = 64;
export const COPY_BYTES = 64;
/** Of the word that is read and added to; not in the bytes that are copied. */
export const WORD_OFFSET = 128;

const SHARED_GFN = 8;
const FIRST_OWN_GFN = 16;

/** Guest page of a thread: one for all ("same"), or one each ("own"). @param {string} place @param {number} thread */
export function gfnAt(place, thread) {
  return place === "same" ? SHARED_GFN : FIRST_OWN_GFN + thread;
}
