/** The scenario itself is wrong: it names a word or a frame that there is not, or is too large. Ends the exploration; no finding. The message is one line. */
export class ScenarioError extends Error {
  override readonly name: string = "ScenarioError";
  readonly code = "ERR_SCENARIO";
}
