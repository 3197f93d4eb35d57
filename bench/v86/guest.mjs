/**
 * The guest that v86 can boot: Debian's 32-bit kernel and busybox of the same release as the default guest's, and firmware for the PC, which
 * v86's package has none of. Fetched by the host's apt as the default guest is, from lists of packages of its own, so that the host needs
 * neither the architecture i386 nor root; kept for the next run.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseControl, parseDepends } from "../../dist/platform/node/guest-image/apt.js";
import { readDebFiles } from "../../dist/platform/node/guest-image/deb.js";
import { defaultCacheFolder, fetchBusybox, fetchKernel } from "../../dist/platform/node/guest-image/default-guest.js";

/** Without PAE: v86's own examples are, and half as many page tables are walked. */
const KERNEL_PACKAGE = "linux-image-686";
const FIRMWARE_PACKAGE = "seabios";
const FIRMWARE = { biosPath: "usr/share/seabios/bios.bin", vgaBiosPath: "usr/share/seabios/vgabios-stdvga.bin" };

/** @typedef {Record<keyof typeof FIRMWARE, string>} Firmware paths of the files */
/** @typedef {import("../guest-files.mjs").GuestSource & Firmware} V86Guest */

/**
 * Gives the files of the 32-bit guest, from the cache if they are there. Throws with one line if they cannot be had.
 * @param {(message: string) => void} onProgress
 * @returns {Promise<V86Guest>}
 */
export async function fetchV86Guest(onProgress) {
  const cacheFolder = join(defaultCacheFolder(), "i386");
  mkdirSync(cacheFolder, { recursive: true });
  const packages = apt386(join(cacheFolder, "apt"), onProgress);
  const options = { cacheFolder, packages, onProgress };
  const kernel = await fetchKernel({ ...options, kernelPackage: KERNEL_PACKAGE });
  const busybox = await fetchBusybox(options);
  const firmware = await fetchFirmware(cacheFolder, packages);
  return { kernelPath: kernel.path, busyboxPath: busybox.path, version: `${kernel.package} ${kernel.version}`, ...firmware };
}

/**
 * @param {string} cacheFolder
 * @param {import("../../dist/platform/node/guest-image/apt.js").PackageSource} packages
 * @returns {Promise<Firmware>}
 */
async function fetchFirmware(cacheFolder, packages) {
  const folder = join(cacheFolder, FIRMWARE_PACKAGE);
  const names = Object.keys(FIRMWARE);
  if (!existsSync(folder)) {
    const work = mkdtempSync(join(cacheFolder, ".fetch-"));
    try {
      await packages.download(FIRMWARE_PACKAGE, work);
      const [deb = ""] = readdirSync(work);
      const files = await readDebFiles(join(work, deb), (path) => names.find((name) => FIRMWARE[/** @type {keyof Firmware} */ (name)] === path), names.length);
      rmSync(join(work, deb));
      for (const [name, bytes] of files) writeFileSync(join(work, name), bytes);
      renameSync(work, folder);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  return /** @type {Firmware} */ (Object.fromEntries(names.map((name) => [name, join(folder, name)])));
}

/**
 * The host's apt for i386, with its state in a folder of its own.
 * @param {string} folder
 * @param {(message: string) => void} onProgress
 * @returns {import("../../dist/platform/node/guest-image/apt.js").PackageSource}
 */
function apt386(folder, onProgress) {
  const settings = {
    "APT::Architecture": "i386", "APT::Architectures": "i386", "Dir::State": join(folder, "state"), "Dir::State::status": "/dev/null",
    "Dir::Cache": join(folder, "cache"),
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  let hasLists = false;
  const readLists = () => {
    if (hasLists) return;
    for (const part of ["state/lists/partial", "cache/archives/partial"]) mkdirSync(join(folder, part), { recursive: true });
    onProgress("Reading the lists of Debian's packages for i386");
    // One list of several may be out of order: whether the packages are known counts.
    runApt("apt-get", [...options, "update"]);
    hasLists = true;
  };
  return {
    async describe(name) {
      readLists();
      const { output } = runApt("apt-cache", [...options, "show", "--no-all-versions", name]);
      const fields = parseControl(output);
      const version = fields.get("Version");
      if (version === undefined) throw new Error(`apt knows no i386 package ${name}: its sources must be Debian's; v86 cannot be compared without`);
      return { name: fields.get("Package") ?? name, version, lengthBytes: Number(fields.get("Size")), dependsOn: parseDepends(fields.get("Depends") ?? "") };
    },
    async download(name, into) {
      readLists();
      const { status, errors } = runApt("apt-get", [...options, "download", name], into);
      if (status !== 0) throw new Error(`apt could not download ${name} for i386 (${/^E: (.*)$/m.exec(errors)?.[1] ?? `status ${status}`}): look at the network`);
    },
  };
}

/**
 * @param {string} tool
 * @param {string[]} args
 * @param {string} [folder]
 */
function runApt(tool, args, folder) {
  const { status, error, stdout, stderr } = spawnSync(tool, args, { encoding: "utf8", cwd: folder, env: { ...process.env, LC_ALL: "C" } });
  if (error !== undefined) throw new Error(`there is no ${tool} here to fetch v86's guest with: leave v86 out with --beside qemu,native`);
  return { status, output: stdout, errors: stderr };
}
