"""Two plugins: one writes down every call of a vendor, the other answers from that in the vendor's place."""
