"""Writing: short texts from true facts, by templates; a language model may rephrase them as far as it stays true."""
