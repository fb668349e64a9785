//! The checks, a file an exercise.

pub(crate) mod c1;
pub(crate) mod c2;
pub(crate) mod c3;
pub(crate) mod c4;
pub(crate) mod c5;
pub(crate) mod c6;
pub(crate) mod e01;
pub(crate) mod e02;
pub(crate) mod e03;
pub(crate) mod e04;
pub(crate) mod e05;
pub(crate) mod e06;
pub(crate) mod e07;
pub(crate) mod e08;
pub(crate) mod e09;
pub(crate) mod e10;
pub(crate) mod e12;
pub(crate) mod e16;
pub(crate) mod e17;
pub(crate) mod e18;
pub(crate) mod e20;
pub(crate) mod e21;
mod greeting;
mod http;
pub(crate) mod proxies;
mod standing;
mod working;
