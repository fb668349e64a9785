//! Tests that no peer notices on which driver the proxy runs. A choice of tests on both; `make test-epoll` and `make
//! test-io-uring` run all of them on one.

use crate::{
    get,
    support::{
        milestones::Milestone,
        raw::{Backend, Conn},
    },
};
use socket_patterns::net::DriverKind;

const PROGRAM: Milestone = Milestone::new(4, env!("CARGO_BIN_EXE_milestone4"));

/// The same tests once for each driver.
macro_rules! on_both {
    ($($module:ident :: $test:ident,)+) => {
        mod epoll { $(
            #[test]
            fn $test() {
                crate::$module::$test(&super::on("epoll"));
            }
        )+ }
        mod io_uring { $(
            #[test]
            fn $test() {
                if super::is_allowed() {
                    crate::$module::$test(&super::on("io-uring"));
                }
            }
        )+ }
    };
}

on_both! {
    bodies::every_method_and_body_form_passes_unchanged,
    bodies::large_bodies_pass_unchanged,
    broken::a_backend_that_resets_in_the_body_breaks_the_clients_connection,
    connections::twenty_pipelined_requests_are_answered_in_order,
    deadlines::a_client_that_does_not_read_is_broken_off,
    shutdown::a_running_request_is_finished,
    slow::bodies_that_come_byte_by_byte_hold_up_nobody,
    tunnels::a_megabyte_passes_each_way_at_once,
}

fn on(driver: &'static str) -> Milestone {
    Milestone { driver: Some(driver), ..PROGRAM }
}

/// Whether this system has io_uring and allows it. If not, it says so.
fn is_allowed() -> bool {
    let refused = DriverKind::IoUring.choose().err();
    #[allow(clippy::print_stderr)] // What was not tested should be known.
    if let Some(why) = &refused {
        eprintln!("not tested: {why}");
    }
    refused.is_none()
}

#[test]
fn the_log_says_which_driver_runs_and_why() {
    let backend = Backend::saying("x");
    let says = |driver: Option<&'static str>, text: &str| {
        let proxy = Milestone { driver, ..PROGRAM }.start(&[&backend], &[]);
        proxy.wait_for_stderr(text);
        assert_eq!(Conn::open(proxy.address()).ask(&get("/")).body, b"x");
    };
    says(Some("epoll"), ", as asked");
    says(Some("auto"), "driver ");
    if is_allowed() {
        says(Some("io-uring"), "driver io_uring, as asked");
    } else {
        PROGRAM.run(&["--driver", "io-uring"]).code(2);
    }
}
