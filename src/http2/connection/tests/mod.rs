//! Whole connections, frame by frame.

mod ends;
mod floods;
mod flow;
mod messages;
mod pairs;
mod responses;
mod rules;
mod support;
