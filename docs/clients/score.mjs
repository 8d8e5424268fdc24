// Ask for the scores of some accounts: `node score.mjs ACCOUNT…`; needs no package.

const { GOLDPAN_URL, GOLDPAN_KEY } = process.env;
const TRIES = 5;

/** The answer of POST /v1/scores, tried again when the service says so; throws its problem. */
export async function scores(accounts) {
  for (let attempt = 1; ; attempt++) {
    const answer = await fetch(`${GOLDPAN_URL}/v1/scores`, {
      method: "POST",
      headers: {
        Authorization: `Bearer ${GOLDPAN_KEY}`,
        "Content-Type": "application/json",
      },
      body: JSON.stringify({ accounts, reasons: true }),
      signal: AbortSignal.timeout(30_000),
    });
    if (answer.ok) return answer.json();
    if (![429, 503].includes(answer.status) || attempt === TRIES) {
      const problem = await answer.json();
      throw new Error(`${problem.type}: ${problem.detail}`);
    }
    const seconds = Number(answer.headers.get("Retry-After") ?? attempt);
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  }
}

const { results } = await scores(process.argv.slice(2));
for (const result of results) {
  for (const score of result.scores) {
    const reasons = score.reasons.slice(0, 2).map((reason) => reason.text).join("; ");
    const chance = `${(100 * score.probability).toFixed(1)}% (${score.grade})`;
    console.log(`${result.account_id}  ${score.model}  ${chance}  ${reasons}`);
  }
}
