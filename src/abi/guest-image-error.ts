/**
 * The one error for everything wrong with what the operator gave us to boot: a file that is no kernel, a corrupt
 * image, too little memory, a package that cannot be fetched.
 */

/** A kernel, initrd or guest image cannot be used. The message is one line and says what to do next. */
export class GuestImageError extends Error {
  override readonly name = "GuestImageError";
}
