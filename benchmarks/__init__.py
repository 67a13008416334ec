"""How fast the module works, and for how much: on the laptop AWS and in simulated time, beside what people use."""
