"""Publishing at QoS 1: one connection after the other, a window in flight, each message when it is due."""
