/** The ways in which a VM can hold guest pages, ours first. */
export { PAGE_ACCESS_NAMES as PAGE_ACCESSES } from "../../dist/guest-page/page-access.js";
