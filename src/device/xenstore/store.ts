/**
 * The in-memory xenstore: the current tree, transactions on it, and observers. One thread.
 *
 * A transaction works on the tree as it was at its start and notes which nodes it used. It commits if none of them was
 * changed by others since; then its operations are repeated on the current tree. Otherwise: EAGAIN, and the client starts over.
 */
import { DOMID_BACKEND } from "../../abi/xen/index.js";
import { isAtOrBelow, namesOf } from "./paths.js";
import { backendOnly } from "./permissions.js";
import type { Permissions } from "./permissions.js";
import { StoreView } from "./store-view.js";
import type { StoreChange, StoreError } from "./store-view.js";
import { findNode } from "./tree.js";
import type { StoreNode } from "./tree.js";

type Operation = (view: StoreView) => StoreError | undefined;

/** Most nodes a transaction may use and most changes it may make. */
export const TRANSACTION_SIZE_MAX = 1024;

/** One client's transaction. */
export class Transaction extends StoreView {
  /** The tree at the start. Immutable. */
  readonly base: StoreNode;
  /** Generations, at the start, of the nodes used so far; undefined = there was none. */
  readonly accessed = new Map<string, number | undefined>();
  readonly operations: Operation[] = [];
  readonly #next: () => number;

  constructor(base: StoreNode, next: () => number) {
    super(base);
    this.base = base;
    this.#next = next;
  }

  /** Whether it has grown to its limit; it can then only be ended. */
  get isFull(): boolean {
    return this.operations.length >= TRANSACTION_SIZE_MAX || this.accessed.size >= TRANSACTION_SIZE_MAX;
  }

  protected override nextGeneration(): number {
    return this.#next();
  }

  protected override noteAccess(path: string): void {
    this.accessed.set(path, findNode(this.base, namesOf(path))?.generation);
  }

  /** Changes are announced when they are repeated on the current tree. */
  protected override noteChange(): void {}

  override write(caller: number, path: string, value: Uint8Array): StoreError | undefined {
    const error = super.write(caller, path, value);
    if (error === undefined) this.operations.push((view) => view.write(caller, path, value));
    return error;
  }

  override makeDirectory(caller: number, path: string): StoreError | undefined {
    const error = super.makeDirectory(caller, path);
    if (error === undefined) this.operations.push((view) => view.makeDirectory(caller, path));
    return error;
  }

  override remove(caller: number, path: string): StoreError | undefined {
    const error = super.remove(caller, path);
    if (error === undefined) this.operations.push((view) => view.remove(caller, path));
    return error;
  }

  override changePermissions(caller: number, path: string, permissions: Permissions): StoreError | undefined {
    const error = super.changePermissions(caller, path, permissions);
    if (error === undefined) this.operations.push((view) => view.changePermissions(caller, path, permissions));
    return error;
  }
}

/** The store itself. */
export class Store extends StoreView {
  #generation = 1;
  readonly #observers = new Set<(change: StoreChange) => void>();

  constructor() {
    super({ value: new Uint8Array(), permissions: backendOnly(), children: new Map(), generation: 1 });
  }

  protected override nextGeneration(): number {
    return ++this.#generation;
  }

  protected override noteAccess(): void {}

  protected override noteChange(change: StoreChange): void {
    for (const observer of [...this.#observers]) observer(change);
  }

  /** Calls `observer` after every change; returns the way to stop that. */
  observeAll(observer: (change: StoreChange) => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /** Calls `observer` after changes at or below `path`, or when it vanishes with an ancestor. */
  observe(path: string, observer: () => void): () => void {
    return this.observeAll((change) => {
      if (isAtOrBelow(change.path, path) || (change.isRemoval && isAtOrBelow(path, change.path))) observer();
    });
  }

  /** Starts a transaction. */
  begin(): Transaction {
    return new Transaction(this.root, () => this.nextGeneration());
  }

  /** Applies a transaction; "EAGAIN" = somebody changed what it used. */
  commit(transaction: Transaction): "EAGAIN" | undefined {
    if (transaction.operations.length === 0) return undefined;
    for (const [path, generation] of this.root === transaction.base ? [] : transaction.accessed) {
      if (findNode(this.root, namesOf(path))?.generation !== generation) return "EAGAIN";
    }
    for (const operation of transaction.operations) operation(this);
    return undefined;
  }

  /** A value as text, with all rights; undefined = no such node. */
  readText(path: string): string | undefined {
    const value = this.read(DOMID_BACKEND, path);
    return typeof value === "string" ? undefined : textOf(value);
  }

  /** Writes text, with all rights. Precondition: the path is well formed. */
  writeText(path: string, value: string): void {
    this.write(DOMID_BACKEND, path, bytesOf(value));
  }

  /** Sets permissions, with all rights. Precondition: the node exists. */
  setPermissions(path: string, permissions: Permissions): void {
    this.changePermissions(DOMID_BACKEND, path, permissions);
  }
}

/** Bytes as text, one character a byte: values may be binary. */
export function textOf(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** Text as bytes, one byte a character. */
export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
