"""Two frozen models behind one interface: forward, head, lockstep decoding, and the bill."""
