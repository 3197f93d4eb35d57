/** The xenstore tree as immutable nodes: a change makes new nodes along its path, so a snapshot is a reference. */
import type { Permissions } from "./permissions.js";

/** A node and what is below it. Immutable. */
export interface StoreNode {
  readonly value: Uint8Array;
  readonly permissions: Permissions;
  readonly children: ReadonlyMap<string, StoreNode>;
  /** Changes with value, permissions and the set of children; not with what is inside them. */
  readonly generation: number;
}

/** The node at `names`; undefined = there is none. */
export function findNode(root: StoreNode, names: readonly string[]): StoreNode | undefined {
  let node: StoreNode | undefined = root;
  for (const name of names) node = node?.children.get(name);
  return node;
}

/** The deepest existing node on the way to `names`, and how many names lead to it. */
export function deepestNode(root: StoreNode, names: readonly string[]): { node: StoreNode; depth: number } {
  let node = root;
  for (let depth = 0; depth < names.length; depth++) {
    const child = node.children.get(names[depth]!);
    if (child === undefined) return { node, depth };
    node = child;
  }
  return { node, depth: names.length };
}

/**
 * The tree with `node` at `names`, or without anything there if it is undefined. The parent must exist; it takes
 * `generation` if its set of children changes.
 */
export function replaceNode(
  root: StoreNode, names: readonly string[], node: StoreNode | undefined, generation: number,
): StoreNode {
  const [name, ...rest] = names;
  if (name === undefined) return node ?? root;
  const child = root.children.get(name);
  const next = rest.length === 0 ? node : child && replaceNode(child, rest, node, generation);
  const children = new Map(root.children);
  if (next === undefined) children.delete(name);
  else children.set(name, next);
  return { ...root, children, generation: (child === undefined) === (next === undefined) ? root.generation : generation };
}

/** Nodes at and below `node` for which `isCounted` holds. */
export function countNodes(node: StoreNode, isCounted: (node: StoreNode) => boolean): number {
  let count = isCounted(node) ? 1 : 0;
  for (const child of node.children.values()) count += countNodes(child, isCounted);
  return count;
}
