/** The main thread's questions to another thread that have no answer yet, by their number. */

interface Waiting<Answer> {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** Pairs answers with questions. */
export class PendingAnswers<Answer> {
  readonly #waiting = new Map<number, Waiting<Answer>>();
  #nextId = 1;

  /** Lets `send` put the question with the number that it is given. Resolves with the answer, rejects once `fail` has been called. */
  ask(send: (id: number) => void): Promise<Answer> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      send(id);
    });
  }

  /** Takes the answer to question `id`. */
  take(id: number, answer: Answer): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.resolve(answer);
  }

  /** Every question that waits rejects with `error`. */
  fail(error: unknown): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
