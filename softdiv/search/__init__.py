"""From a soft prompt to text: searchers propose, one halving loop scores, one ledger pays."""
