//! What holds on both databases.

use std::pin::Pin;

use quire_depot::{Depot, Place};

use crate::{access, batches, database, debts, files, metering, postgres, responses, wait};

type Case = (&'static str, fn(Depot) -> Pin<Box<dyn Future<Output = ()>>>);

macro_rules! cases {
    ($($area:ident::$case:ident,)*) => {
        const CASES: &[Case] = &[$((stringify!($case), |depot| Box::pin($area::$case(depot))),)*];

        mod sqlite {
            $(#[test]
            fn $case() {
                let folder = tempfile::tempdir().unwrap();
                super::wait(async {
                    super::$area::$case(crate::in_folder(folder.path()).await).await;
                });
            })*
        }
    };
}

cases! {
    database::values_come_back,
    database::what_fails_is_undone_alone,
    database::a_caller_that_goes_away_leaves_nothing_half_done,
    access::what_is_added_is_found_and_changed,
    access::lists_are_read_in_pages_from_both_ends,
    access::another_organisation_sees_nothing,
    access::servers_learn_of_changes_and_of_nothing_else,
    metering::a_request_is_billed_once,
    metering::spending_is_summed_by_scope_and_day,
    metering::sums_beyond_all_sense_stay_sums,
    metering::reports_group_filter_and_page,
    metering::costs_are_summed_by_the_kinds_of_tokens,
    metering::csv_is_read_in_pieces,
    files::content_comes_back_as_it_went_in,
    files::a_file_is_seen_by_its_workspace_alone,
    files::a_quota_holds_over_uploads_at_once,
    files::files_expire_and_leftovers_are_swept,
    batches::each_item_is_worked_on_and_answered_once,
    batches::a_lease_that_ran_out_is_claimed_again,
    batches::a_worker_that_is_late_does_not_claim_its_own_item_again,
    batches::cancelled_and_expired_batches_end,
    batches::a_custom_id_is_used_once,
    batches::a_batch_is_seen_by_its_workspace_alone,
    responses::responses_are_found_by_their_workspace_alone,
    responses::a_chain_is_followed_within_its_workspace,
    responses::a_background_response_outlives_its_worker,
    responses::a_worker_that_is_late_does_not_claim_its_own_response_again,
    responses::an_end_and_what_a_conversation_grows_by_are_one,
    responses::events_are_kept_by_their_numbers,
    responses::conversations_keep_their_order,
    responses::a_conversation_is_seen_by_its_workspace_alone,
    responses::appends_at_once_lose_nothing,
    responses::the_replay_log_forgets_the_oldest,
    debts::debts_are_added_up_and_paid_off,
    debts::debts_beyond_all_sense_stay_debts,
    debts::servers_exchange_debts_at_once,
}

/// One server for all, as starting one takes a second or two; each case has a schema of its own.
#[test]
fn all_cases_hold_in_postgresql() {
    let Some(server) = postgres::start() else {
        return;
    };
    for (name, case) in CASES {
        println!("case: {name}");
        let url = server.make_place(name);
        wait(async { case(Depot::open(&Place::Postgres(url)).await.unwrap()).await });
    }
}
