// Written by softdiv. Fails where an answer has more words (F1) of the suspect's recorded answer
// than of the original's.
const words = (text) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) || [];

function f1(answer, recorded) {
  const left = new Map();
  for (const word of words(recorded)) left.set(word, (left.get(word) || 0) + 1);
  let shared = 0;
  for (const word of words(answer)) {
    if (left.get(word) > 0) {
      left.set(word, left.get(word) - 1);
      shared += 1;
    }
  }
  const total = words(answer).length + words(recorded).length;
  return total === 0 ? 0 : (2 * shared) / total;
}

module.exports = (output, context) => {
  const answer = String(output);
  const original = f1(answer, JSON.parse(context.vars.model_1));
  const suspect = f1(answer, JSON.parse(context.vars.model_2));
  return {
    pass: suspect <= original,
    score: suspect <= original ? 1 : 0,
    reason: `words shared with model_1's answer ${original.toFixed(2)}, ` +
      `with model_2's ${suspect.toFixed(2)}`,
  };
};
