//! Sockets, clocks and signals: the only module that does I/O.
