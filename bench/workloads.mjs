/** What the guests of benchmark "cpu" work on, with real sizes and sizes that only show that everything works. */

/** @type {readonly { name: string, title: string, parameter?: string, real?: number, smoke?: number }[]} */
export const GUEST_WORKLOADS = [
  { name: "sha256", title: "sha256 of 32 MiB", parameter: "data_mib", real: 32, smoke: 1 },
  { name: "gzip", title: "gzip of 32 MiB" },
  { name: "awk", title: "awk, 1 M rounds of doubles", parameter: "awk_rounds", real: 1_000_000, smoke: 2000 },
  { name: "shell", title: "shell loop of 200 000", parameter: "shell_rounds", real: 200_000, smoke: 1000 },
];

/** Integer kernels of guest/kernels.c; the real sizes are 0.3 to 0.6 thousand million instructions each. */
export const KERNEL_WORKLOADS = [
  { name: "kernel_crc32", title: "crc32, table, bytes", parameter: "scale_crc32", real: 64, smoke: 1 },
  { name: "kernel_sort", title: "heap sort, compare by pointer", parameter: "scale_sort", real: 64, smoke: 1 },
  { name: "kernel_sha256", title: "sha256 block", parameter: "scale_sha256", real: 10, smoke: 1 },
  { name: "kernel_matrix", title: "matrix of 64-bit words", parameter: "scale_matrix", real: 32, smoke: 1 },
  { name: "kernel_fib", title: "fib, recursive", parameter: "scale_fib", real: 100, smoke: 1 },
  { name: "kernel_search", title: "string search", parameter: "scale_search", real: 40, smoke: 1 },
];

/**
 * Shell assignments for the guest's init.
 * @param {typeof GUEST_WORKLOADS} workloads
 * @param {boolean} isSmoke
 * @returns {Record<string, string | number>}
 */
export function guestParameters(workloads, isSmoke) {
  const sizes = workloads.flatMap(({ parameter, real, smoke }) => (parameter === undefined ? [] : [[parameter, isSmoke ? smoke : real]]));
  return { workloads: workloads.map(({ name }) => name).join(" "), ...Object.fromEntries(sizes) };
}
