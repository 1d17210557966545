"""SCF: the actions of triggers, and which of them an object or a time fires."""
