//! Tests that no peer notices TLS: the same tests as without it, with a client beneath that speaks TLS (`tests/support/tls_tunnel.rs`).

use crate::{
    get,
    support::{
        milestones::Milestone,
        raw::{Backend, Conn},
    },
};

const PROGRAM: Milestone =
    Milestone { number: 5, program: env!("CARGO_BIN_EXE_milestone5"), driver: None, over_tls: true };

macro_rules! over_tls {
    ($($module:ident :: $test:ident,)+) => { $(
        #[test]
        fn $test() {
            crate::$module::$test(&PROGRAM);
        }
    )+ };
}

over_tls! {
    bad_requests::malformed_request_lines_are_refused,
    bad_requests::malformed_fields_are_refused,
    bad_requests::doubtful_framing_is_refused,
    bad_requests::malformed_chunks_are_refused,
    bodies::every_method_and_body_form_passes_unchanged,
    bodies::large_bodies_pass_unchanged,
    bodies::bodies_pass_however_they_are_cut,
    bodies::trailers_pass_both_ways,
    bodies::http10_clients_get_every_body_form,
    bodies::http10_backends_are_understood,
    broken::a_backend_that_ends_in_the_body_breaks_the_clients_connection,
    broken::a_backend_that_resets_in_the_body_breaks_the_clients_connection,
    broken::an_http10_client_sees_the_break_too,
    broken::a_client_that_goes_away_takes_the_backend_connection_with_it,
    connections::connections_persist,
    connections::a_client_may_ask_for_the_end,
    connections::requests_on_a_connection_can_be_limited,
    connections::twenty_pipelined_requests_are_answered_in_order,
    connections::pipelined_bodies_do_not_run_into_each_other,
    connections::a_client_may_end_its_side_after_the_request,
    connections::a_client_that_ends_its_side_in_a_request_is_not_answered,
    connections::empty_lines_between_requests_are_skipped,
    connections::interim_responses_are_relayed,
    connections::http10_clients_get_no_interim_responses,
    connections::a_client_that_expects_100_gets_it_from_the_backend,
    connections::a_client_that_expects_100_may_be_refused_at_once,
    connections::an_early_response_is_relayed_at_once_and_the_request_goes_on,
    connections::an_early_response_of_a_backend_that_closes_ends_the_connection,
    connections::an_upload_flows_while_it_is_sent,
    connections::a_download_flows_while_it_is_sent,
    deadlines::a_head_that_takes_too_long_gets_408,
    deadlines::a_trickling_head_gets_408,
    deadlines::an_idle_connection_is_closed_without_a_word,
    deadlines::a_body_that_stands_still_gets_408,
    deadlines::a_body_that_makes_progress_is_waited_for,
    deadlines::a_response_that_stands_still_is_broken_off,
    deadlines::a_response_that_makes_progress_is_waited_for,
    deadlines::a_silent_tunnel_is_closed,
    heads::field_values_pass_as_they_are,
    heads::targets_pass_as_they_are,
    limits::request_lines_up_to_the_limit_pass,
    limits::heads_up_to_the_limit_pass,
    limits::bodies_up_to_the_limit_pass,
    limits::trailers_up_to_the_limit_pass,
    tunnels::a_tunnel_carries_bytes_both_ways,
    tunnels::nothing_passes_before_the_101,
    tunnels::bytes_behind_the_101_are_not_lost,
    tunnels::each_side_of_a_tunnel_ends_on_its_own,
    tunnels::a_reset_of_the_backend_resets_the_client,
    tunnels::a_reset_of_the_client_reaches_the_backend,
    tunnels::a_megabyte_passes_each_way_at_once,
}

/// Else the tests above would prove nothing.
#[test]
fn it_is_tls_that_the_proxy_hears() {
    let backend = Backend::saying("x");
    let proxy = PROGRAM.start(&[&backend], &[]);
    assert_eq!(Conn::open(proxy.address()).ask(&get("/")).body, b"x");
    proxy.wait_for_stderr("tls=\"1.3 ");
}
