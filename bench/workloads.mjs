/** What the guests of benchmark "cpu" work on, with real sizes and sizes that only show that everything works. */

/**
 * @typedef {object} Workload
 * @property {string} name as guest/workloads.sh knows it
 * @property {string} title
 * @property {string} [parameter] shell variable of its size
 * @property {number} [real]
 * @property {number} [smoke]
 */

/**
 * @typedef {object} Group
 * @property {string} title
 * @property {"kernels" | "programs"} [needs] the C source without which it is left out
 * @property {boolean} isCompute false: mostly the guest kernel's work, not in the mean of the compute lines
 * @property {readonly Workload[]} workloads
 */

/** @type {readonly Group[]} */
export const GROUPS = [
  {
    title: "busybox", isCompute: true,
    workloads: [
      { name: "md5", title: "md5 of 32 MiB", parameter: "data_mib", real: 32, smoke: 1 },
      { name: "sha256", title: "sha256 of 32 MiB" },
      { name: "gzip", title: "gzip of 32 MiB" },
      { name: "gunzip", title: "gunzip to 32 MiB" },
      { name: "shell", title: "shell loop of 200 000", parameter: "shell_rounds", real: 200_000, smoke: 1000 },
      { name: "awk_float", title: "awk, 200 000 rounds of doubles", parameter: "awk_float_rounds", real: 200_000, smoke: 2000 },
      { name: "awk_strings", title: "awk, 200 000 rounds of strings", parameter: "awk_strings_rounds", real: 200_000, smoke: 2000 },
    ],
  },
  {
    title: "C program", needs: "programs", isCompute: true,
    workloads: [
      { name: "program_sort", title: "qsort of 600 000 records", parameter: "size_sort", real: 600, smoke: 5 },
      { name: "program_hash", title: "hash table, 3 M words", parameter: "size_hash", real: 3000, smoke: 20 },
      { name: "program_matrix", title: "matrix product, doubles, 300 x 128^3", parameter: "size_matrix", real: 300, smoke: 2 },
      { name: "program_json", title: "JSON parse, 22 MB", parameter: "size_json", real: 400, smoke: 2 },
    ],
  },
  {
    // Integer kernels of guest/kernels.c; the real sizes are 0.3 to 0.6 thousand million instructions each.
    title: "integer kernel", needs: "kernels", isCompute: true,
    workloads: [
      { name: "kernel_crc32", title: "crc32, table, bytes", parameter: "scale_crc32", real: 64, smoke: 1 },
      { name: "kernel_sort", title: "heap sort, compare by pointer", parameter: "scale_sort", real: 64, smoke: 1 },
      { name: "kernel_sha256", title: "sha256 block", parameter: "scale_sha256", real: 10, smoke: 1 },
      { name: "kernel_matrix", title: "matrix of 64-bit words", parameter: "scale_matrix", real: 32, smoke: 1 },
      { name: "kernel_fib", title: "fib, recursive", parameter: "scale_fib", real: 100, smoke: 1 },
      { name: "kernel_search", title: "string search", parameter: "scale_search", real: 40, smoke: 1 },
    ],
  },
  {
    title: "system", isCompute: false,
    workloads: [
      { name: "fork_exec", title: "300 fork and exec", parameter: "fork_count", real: 300, smoke: 5 },
      { name: "system_calls", title: "400 000 system calls", parameter: "syscall_count", real: 400_000, smoke: 2000 },
      { name: "zero_fill", title: "1 GiB zero fill", parameter: "zero_mib", real: 1024, smoke: 4 },
    ],
  },
];

/** Names of all workloads, for --only. */
export const WORKLOAD_NAMES = GROUPS.flatMap(({ workloads }) => workloads.map(({ name }) => name));

/**
 * The groups with the workloads that are asked for and can be run.
 * @param {readonly string[] | undefined} only names; undefined = all
 * @param {readonly string[]} missing what could not be compiled
 * @returns {Group[]} none without workloads
 */
export function chooseGroups(only, missing) {
  return GROUPS
    .filter(({ needs }) => needs === undefined || !missing.includes(needs))
    .map((group) => ({ ...group, workloads: group.workloads.filter(({ name }) => only === undefined || only.includes(name)) }))
    .filter(({ workloads }) => workloads.length > 0);
}

/**
 * Shell assignments for the guest.
 * @param {readonly string[]} names of workloads
 * @param {{ isSmoke: boolean, repeat: number }} options `repeat`: how often each is run between its marks
 * @returns {Record<string, string | number>}
 */
export function guestParameters(names, { isSmoke, repeat }) {
  const all = GROUPS.flatMap(({ workloads }) => workloads);
  const sizes = all.flatMap(({ parameter, real, smoke }) => (parameter === undefined ? [] : [[parameter, isSmoke ? smoke : real]]));
  return { workloads: names.join(" "), repeat, ...Object.fromEntries(sizes) };
}
