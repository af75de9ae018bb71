//! Servers of the Model Context Protocol that talk over their stdin and stdout.
