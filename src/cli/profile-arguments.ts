/** The options about the profile of a run, and its file. */
import type { Command } from "commander";
import type { VirtualMachine, VirtualMachineOptions } from "../machine/index.js";
import { OutputFile } from "../platform/node/index.js";
import { UsageError } from "./errors.js";

/** What the machine takes of them, and where the profile goes to. */
export interface ProfileArguments extends Pick<VirtualMachineOptions, "profile" | "systemMap"> {
  readonly profileFile?: string;
}

/** As commander gives them. */
export interface RawProfileOptions {
  readonly profile?: string;
  readonly systemMap?: string;
}

/** Adds the options to the command that runs a guest. */
export function addProfileOptions(command: Command): Command {
  return command
    .option("--profile <file>", "write there, at the end, what the guest has executed, by function: a file for speedscope")
    .option("--system-map <file>", "the kernel's System.map, for --profile (default: the kernel's own table of symbols)");
}

/** Reads them. Throws UsageError. */
export function readProfileOptions({ profile, systemMap }: RawProfileOptions): ProfileArguments {
  if (profile === "") throw new UsageError("--profile needs a file");
  if (profile === undefined && systemMap !== undefined) throw new UsageError("--system-map goes with --profile");
  return {
    ...(profile === undefined ? {} : { profile: true, profileFile: profile }),
    ...(systemMap === undefined ? {} : { systemMap }),
  };
}

/** The profile's file of one run, from before the guest is made until after its end. */
export class RunProfile {
  readonly #path: string | undefined;
  #file: OutputFile | undefined;

  constructor(path: string | undefined) {
    this.#path = path;
  }

  /** Looks whether the file can be written. Throws OutputFileError. */
  async prepare(): Promise<void> {
    if (this.#path !== undefined) this.#file = await OutputFile.prepare(this.#path, "profile");
  }

  /** Writes what `vm`, which has ended, has executed; undefined = there was no guest. Throws OutputFileError. */
  async finish(vm: VirtualMachine | undefined): Promise<void> {
    const profile = vm?.profile();
    if (profile === undefined) await this.#file?.discard();
    else await this.#file?.write(JSON.stringify(profile));
  }
}
