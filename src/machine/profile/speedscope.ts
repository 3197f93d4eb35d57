/** Profiles in the file format of speedscope (https://www.speedscope.app/file-format-schema.json), kind "sampled". */
import { kernelShift, linkedAddressOf, type ProfiledKernel } from "./profiled-kernel.js";
import type { SampledCode, VcpuSamples } from "./samples.js";

/** What a frame is told as when the kernel did not say which task ran: before its scheduler, or without BTF. */
const NO_TASK = "(no task)";
const PAGE_MASK = ~0xfffn;

/** A frame of speedscope. */
export interface SpeedscopeFrame {
  readonly name: string;
  readonly file?: string;
}

/** A profile of speedscope: `samples` are stacks, outermost frame first, as indices of frames. */
export interface SpeedscopeProfile {
  readonly type: "sampled";
  readonly name: string;
  /** Weights are instructions, for which the format has no unit. */
  readonly unit: "none";
  readonly startValue: number;
  readonly endValue: number;
  readonly samples: readonly (readonly number[])[];
  readonly weights: readonly number[];
}

/** A file of speedscope: one profile for each vCPU. */
export interface SpeedscopeFile {
  readonly $schema: "https://www.speedscope.app/file-format-schema.json";
  readonly shared: { readonly frames: readonly SpeedscopeFrame[] };
  readonly profiles: readonly SpeedscopeProfile[];
  readonly name: string;
  readonly activeProfileIndex: number;
  readonly exporter: string;
}

/** The file of `vcpus`' samples, by vCPU; undefined = that one's thread left none. */
export function speedscopeFile(vcpus: readonly (VcpuSamples | undefined)[], kernel: ProfiledKernel): SpeedscopeFile {
  const frames = new FrameTable();
  const profiles = vcpus.flatMap((samples, index) => (samples === undefined ? [] : [profileOf(samples, `vCPU ${index}`, kernel, frames)]));
  return {
    $schema: "https://www.speedscope.app/file-format-schema.json",
    shared: { frames: frames.list },
    profiles,
    name: "unpinned: guest instructions",
    activeProfileIndex: 0,
    exporter: "unpinned",
  };
}

function profileOf({ codes, samples, weights, syscallEntry }: VcpuSamples, name: string, kernel: ProfiledKernel, frames: FrameTable): SpeedscopeProfile {
  const shift = kernelShift(kernel, syscallEntry);
  const stacks = codes.map((code) => stackOf(code, kernel, shift).map((frame) => frames.indexOf(frame)));
  return {
    type: "sampled", name, unit: "none", startValue: 0, endValue: weights.reduce((sum, weight) => sum + weight, 0),
    samples: Array.from(samples, (index) => stacks[index]!), weights: Array.from(weights),
  };
}

/** What is known of a sample, from the outside in: privilege, task, function. Callers are not. */
function stackOf({ isKernel, task, rip }: SampledCode, kernel: ProfiledKernel, shift: bigint): SpeedscopeFrame[] {
  const place = isKernel ? kernelFrame(linkedAddressOf(kernel, rip, shift), rip, kernel) : { name: hex(rip), file: task };
  return [{ name: isKernel ? "kernel" : "user" }, { name: task === "" ? NO_TASK : task }, place];
}

/** Code that has no symbol, such as that of modules, is told by its page. */
function kernelFrame(linked: bigint, rip: bigint, { symbols }: ProfiledKernel): SpeedscopeFrame {
  return { name: symbols.functionAt(linked) ?? hex(rip & PAGE_MASK), file: "kernel" };
}

const hex = (address: bigint): string => `0x${address.toString(16)}`;

/** Frames, each once. */
class FrameTable {
  readonly list: SpeedscopeFrame[] = [];
  readonly #indices = new Map<string, number>();

  indexOf(frame: SpeedscopeFrame): number {
    const key = `${frame.file ?? ""}\n${frame.name}`;
    let index = this.#indices.get(key);
    if (index === undefined) {
      index = this.list.push(frame) - 1;
      this.#indices.set(key, index);
    }
    return index;
  }
}
