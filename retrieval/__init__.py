"""Question to ranked hits: hybrid search, fusion, reranking, merging of neighbours."""
