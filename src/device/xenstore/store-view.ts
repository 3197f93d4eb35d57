/**
 * Operations on one version of the tree, with the rights of a domain: shared by the store itself and by transactions.
 * A result that is a string names the error of the protocol.
 */
import { DOMID_BACKEND } from "../../abi/xen/index.js";
import { namesOf } from "./paths.js";
import { inheritedPermissions, isOwner, mayRead, mayWrite } from "./permissions.js";
import type { Permissions } from "./permissions.js";
import { countNodes, deepestNode, findNode, replaceNode } from "./tree.js";
import type { StoreNode } from "./tree.js";

/** Errors of the xenstore protocol, as they appear on the wire. */
export type StoreError =
  | "EINVAL" | "EACCES" | "EEXIST" | "ENOENT" | "ENOSPC" | "ENOSYS" | "EAGAIN" | "E2BIG" | "EBUSY";

/** One change, for watches. */
export interface StoreChange {
  readonly path: string;
  readonly isRemoval: boolean;
}

/** Most nodes an unprivileged domain may own, and the longest value it may write. */
export const OWNED_NODES_MAX = 1000;
export const VALUE_BYTES_MAX = 2048;
const NOTHING = new Uint8Array();

/** One version of the tree. Paths are absolute and well formed. */
export abstract class StoreView {
  protected root: StoreNode;

  protected constructor(root: StoreNode) {
    this.root = root;
  }

  /** A number no node has yet. */
  protected abstract nextGeneration(): number;
  /** Told each path before it is used. */
  protected abstract noteAccess(path: string): void;
  /** Told each change after it was made. */
  protected abstract noteChange(change: StoreChange): void;

  #readable(caller: number, path: string): StoreNode | StoreError {
    this.noteAccess(path);
    const node = findNode(this.root, namesOf(path));
    // Whoever may not read a node may not learn whether it exists, either: the nearest existing one decides.
    const guard = node ?? deepestNode(this.root, namesOf(path)).node;
    if (!mayRead(guard.permissions, caller)) return "EACCES";
    return node ?? "ENOENT";
  }

  /** The value of a node. */
  read(caller: number, path: string): Uint8Array | StoreError {
    const node = this.#readable(caller, path);
    return typeof node === "string" ? node : node.value;
  }

  /** The names of a node's children, sorted, and the node's generation. */
  list(caller: number, path: string): { names: readonly string[]; generation: number } | StoreError {
    const node = this.#readable(caller, path);
    return typeof node === "string" ? node : { names: [...node.children.keys()].sort(), generation: node.generation };
  }

  /** The permissions of a node. */
  permissions(caller: number, path: string): Permissions | StoreError {
    const node = this.#readable(caller, path);
    return typeof node === "string" ? node : node.permissions;
  }

  /** Writes a value, creating the node and its missing ancestors. */
  write(caller: number, path: string, value: Uint8Array): StoreError | undefined {
    if (caller !== DOMID_BACKEND && value.length > VALUE_BYTES_MAX) return "ENOSPC";
    return this.#put(caller, path, value);
  }

  /** Creates a node with an empty value if it does not exist. */
  makeDirectory(caller: number, path: string): StoreError | undefined {
    return this.#put(caller, path, undefined);
  }

  /** Writes `value`, or only creates where it is undefined. */
  #put(caller: number, path: string, value: Uint8Array | undefined): StoreError | undefined {
    this.noteAccess(path);
    const names = namesOf(path);
    const { node, depth } = deepestNode(this.root, names);
    if (!mayWrite(node.permissions, caller)) return "EACCES";
    if (depth === names.length) {
      if (value === undefined) return undefined;
      this.root = replaceNode(this.root, names, { ...node, value, generation: this.nextGeneration() }, 0);
    } else {
      if (!this.#mayOwnMore(caller, names.length - depth)) return "ENOSPC";
      this.#createBelow(inheritedPermissions(node.permissions, caller), names, depth, value ?? NOTHING);
    }
    this.noteChange({ path, isRemoval: false });
    return undefined;
  }

  #mayOwnMore(caller: number, count: number): boolean {
    if (caller === DOMID_BACKEND) return true;
    return countNodes(this.root, (node) => node.permissions[0]!.domain === caller) + count <= OWNED_NODES_MAX;
  }

  #createBelow(permissions: Permissions, names: readonly string[], depth: number, value: Uint8Array): void {
    for (let length = depth + 1; length <= names.length; length++) {
      const generation = this.nextGeneration();
      const own = length === names.length ? value : NOTHING;
      const node: StoreNode = { value: own, permissions, children: new Map(), generation };
      this.root = replaceNode(this.root, names.slice(0, length), node, generation);
    }
  }

  /** Removes a node and everything below it. */
  remove(caller: number, path: string): StoreError | undefined {
    this.noteAccess(path);
    const names = namesOf(path);
    if (names.length === 0) return "EINVAL";
    const node = findNode(this.root, names);
    if (node === undefined) {
      // Removing what is not there is no error as long as its parent is.
      const parent = findNode(this.root, names.slice(0, -1));
      if (parent === undefined) return "ENOENT";
      return mayWrite(parent.permissions, caller) ? undefined : "EACCES";
    }
    if (!mayWrite(node.permissions, caller)) return "EACCES";
    this.root = replaceNode(this.root, names, undefined, this.nextGeneration());
    this.noteChange({ path, isRemoval: true });
    return undefined;
  }

  /** Replaces the permissions of a node. An unprivileged domain stays the owner of what it owns. */
  changePermissions(caller: number, path: string, permissions: Permissions): StoreError | undefined {
    this.noteAccess(path);
    const names = namesOf(path);
    const node = findNode(this.root, names);
    if (node === undefined) return "ENOENT";
    if (!isOwner(node.permissions, caller)) return "EACCES";
    if (caller !== DOMID_BACKEND && permissions[0]!.domain !== caller) return "EACCES";
    this.root = replaceNode(this.root, names, { ...node, permissions, generation: this.nextGeneration() }, 0);
    this.noteChange({ path, isRemoval: false });
    return undefined;
  }
}
