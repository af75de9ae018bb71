//! Usage, sums and reports.

use quire_depot::{ContextWindow, Depot, Dimension, Report, Scope, UsageFilter, UsageRow, Width};
use quire_protocol::{CostSplit, Day, Money, Usage};

use crate::used;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

pub(crate) async fn a_request_is_billed_once(depot: Depot) {
    let metering = depot.metering();
    let rows: Vec<_> = (0..700)
        .map(|number| used(&format!("req_{number}"), number))
        .collect();
    assert_eq!(metering.record(&rows).await.unwrap(), 700);
    assert_eq!(metering.record(&rows).await.unwrap(), 0);
    // Twice in one go, once known, once new; and a name that no database likes.
    let mut new = used("req_new", 5);
    "nul\0 and 'quote'".clone_into(&mut new.model_asked);
    let some = [new.clone(), rows[3].clone(), new];
    assert_eq!(metering.record(&some).await.unwrap(), 1);
    let spent = metering
        .spent(&Scope::Key("key_1".into()), None)
        .await
        .unwrap();
    assert_eq!(spent, rows[0].cost.times(701));
    assert_eq!(metering.record(&[]).await.unwrap(), 0);
}

pub(crate) async fn spending_is_summed_by_scope_and_day(depot: Depot) {
    let metering = depot.metering();
    let row = |request: &str, at, workspace: &str, key: &str, picos| UsageRow {
        workspace: workspace.into(),
        key: key.into(),
        cost: Money::from_picos(picos),
        ..used(request, at)
    };
    let rows = [
        row("r1", 10 * DAY - 1, "w1", "k1", 1),
        row("r2", 10 * DAY, "w1", "k1", 10_000_001),
        row("r3", 10 * DAY, "w1", "k2", 100),
        row("r4", 11 * DAY, "w2", "k3", 1_000),
    ];
    metering.record(&rows[..2]).await.unwrap();
    metering.record(&rows).await.unwrap();
    for (scope, since, picos) in [
        (Scope::Organisation("org_1".into()), None, 10_001_102),
        (Scope::Organisation("org_1".into()), Some(11), 1_000),
        (Scope::Workspace("w1".into()), None, 10_000_102),
        (Scope::Workspace("w1".into()), Some(10), 10_000_101),
        (Scope::Key("k1".into()), Some(10), 10_000_001),
        (Scope::Key("k1".into()), Some(11), 0),
        (Scope::Key("nobody".into()), None, 0),
    ] {
        let spent = metering.spent(&scope, since.map(Day)).await.unwrap();
        assert_eq!(spent.picos(), picos, "{scope:?} since {since:?}");
    }
}

/// An upstream that reports nonsense must not keep everybody else's requests from being billed.
pub(crate) async fn sums_beyond_all_sense_stay_sums(depot: Depot) {
    let metering = depot.metering();
    let rows: Vec<_> = (0..2_000)
        .map(|number| UsageRow {
            cost: Money::from_picos(i64::MAX),
            usage: Usage {
                output: u64::MAX,
                ..Usage::default()
            },
            latency_ms: u64::MAX,
            at: if number == 0 { -5 } else { number },
            ..used(&format!("r{number}"), number)
        })
        .collect();
    metering.record(&rows).await.unwrap();
    let spent = metering
        .spent(&Scope::Key("key_1".into()), None)
        .await
        .unwrap();
    assert_eq!(spent, Money::from_picos(i64::MAX));
    let report = metering
        .report(&report(0, DAY, Width::Day, &[]))
        .await
        .unwrap();
    assert_eq!(
        report.buckets[0].groups[0].sums.cost,
        Money::from_picos(i64::MAX)
    );
    let endless = self::report(i64::MAX, i64::MAX, Width::Minute, &[]);
    assert!(metering.report(&endless).await.unwrap().buckets.is_empty());
}

fn report(starting_at: i64, ending_at: i64, width: Width, group_by: &[Dimension]) -> Report {
    Report {
        organisation: "org_1".into(),
        filter: UsageFilter {
            starting_at,
            ending_at,
            ..UsageFilter::default()
        },
        width,
        group_by: group_by.to_vec(),
        limit: 2,
    }
}

pub(crate) async fn reports_group_filter_and_page(depot: Depot) {
    let metering = depot.metering();
    let mut rows = vec![
        used("r1", 5),
        used("r2", HOUR - 1),
        used("r3", HOUR),
        used("r4", 2 * HOUR),
    ];
    "gpt-6-sol".clone_into(&mut rows[1].model_served);
    rows[2].context_window = ContextWindow::Long;
    rows.push(UsageRow {
        organisation: "org_2".into(),
        ..used("r5", 5)
    });
    metering.record(&rows).await.unwrap();

    let by_model = report(7, 2 * HOUR + 1, Width::Hour, &[Dimension::Model]);
    let page = metering.report(&by_model).await.unwrap();
    let shown = |group: &quire_depot::Group| (group.values.join(" "), group.sums.requests);
    let groups: Vec<Vec<_>> = page
        .buckets
        .iter()
        .map(|b| b.groups.iter().map(shown).collect())
        .collect();
    let opus = || ("claude-opus-5-5".to_owned(), 1);
    assert_eq!(
        groups,
        [vec![opus(), ("gpt-6-sol".to_owned(), 1)], vec![opus()]]
    );
    assert_eq!(page.next, Some(2 * HOUR));
    let rest = report(2 * HOUR, 2 * HOUR + 1, Width::Hour, &[]);
    let rest = metering.report(&rest).await.unwrap();
    assert_eq!((rest.buckets.len(), rest.next), (1, None));
    assert_eq!(rest.buckets[0].groups[0].sums.usage, rows[3].usage);
    assert_eq!(rest.buckets[0].groups[0].sums.cost, rows[3].cost);

    let everything = [
        Dimension::Model,
        Dimension::Workspace,
        Dimension::Key,
        Dimension::ServiceTier,
        Dimension::InferenceGeo,
        Dimension::ContextWindow,
        Dimension::Speed,
    ];
    let mut filtered = report(0, DAY, Width::Day, &everything);
    filtered.filter.context_windows = vec![ContextWindow::Long];
    filtered.filter.models = vec!["claude-opus-5-5".to_owned(), "other".to_owned()];
    filtered.filter.workspaces = vec!["wrkspc_1".into()];
    let filtered = metering.report(&filtered).await.unwrap();
    let group = &filtered.buckets[0].groups[0];
    assert_eq!(
        group.values.join(" "),
        "claude-opus-5-5 wrkspc_1 key_1 standard global 200k-1M standard"
    );
    assert_eq!(
        (filtered.buckets[0].groups.len(), group.sums.requests),
        (1, 1)
    );

    let empty = metering
        .report(&report(DAY, 2 * DAY, Width::Day, &[]))
        .await
        .unwrap();
    assert!(empty.buckets[0].groups.is_empty());
}

/// Rows of earlier versions have no split, and absurd ones are cut down; the parts stay the whole.
pub(crate) async fn costs_are_summed_by_the_kinds_of_tokens(depot: Depot) {
    let metering = depot.metering();
    let split = |parts: [i64; 5]| CostSplit::from_parts(parts.map(Money::from_picos));
    let row = |request: &str, split: CostSplit| UsageRow {
        cost: split.total(),
        split: Some(split),
        ..used(request, 5)
    };
    let (one, two) = (
        split([1, 20, 300, 4_000, 2_000_005]),
        split([7, 0, 0, 0, 3]),
    );
    let unsplit = used("r3", 5);
    let rows = [row("r1", one), row("r2", two), unsplit.clone()];
    metering.record(&rows).await.unwrap();
    let hour = report(0, HOUR, Width::Hour, &[Dimension::Model]);
    let sums = metering.report(&hour).await.unwrap().buckets[0].groups[0].sums;
    assert_eq!(sums.split, one + two);
    assert_eq!(sums.cost, sums.split.total() + unsplit.cost);

    let absurd = split([9_000_000_000_000_000, 5_000_000_000_000_000, 0, 0, 1]);
    metering.record(&[row("r4", absurd)]).await.unwrap();
    let more = metering.report(&hour).await.unwrap().buckets[0].groups[0].sums;
    assert_eq!(more.cost, more.split.total() + unsplit.cost);
    assert_eq!(
        more.split.cache_read,
        sums.split.cache_read + Money::from_picos(1_000_000_000_000_000)
    );
}

pub(crate) async fn csv_is_read_in_pieces(depot: Depot) {
    let metering = depot.metering();
    // Many at the same time, so that pieces are cut within a millisecond.
    let rows: Vec<_> = (0..2_500)
        .map(|number| used(&format!("req_{number:05}"), number / 1_700))
        .collect();
    metering.record(&rows).await.unwrap();
    let filter = UsageFilter {
        ending_at: DAY,
        ..UsageFilter::default()
    };
    let mut csv = metering.csv(&"org_1".into(), filter.clone());
    let (mut text, mut pieces) = (String::new(), 0);
    while let Some(piece) = csv.next().await.unwrap() {
        text.push_str(&piece);
        pieces += 1;
    }
    let lines: Vec<_> = text.split_terminator("\r\n").collect();
    assert_eq!((lines.len(), pieces), (2_501, 4));
    assert_eq!(lines[0].split(',').count(), lines[1].split(',').count());
    assert!(lines[1].starts_with("1970-01-01T00:00:00.000Z,req_00000,wrkspc_1,key_1,opus,"));
    assert!(lines[2_500].contains("req_02499"));
    let mut other = metering.csv(&"org_2".into(), filter);
    assert!(
        other
            .next()
            .await
            .unwrap()
            .is_some_and(|header| header.starts_with("time,"))
    );
    assert_eq!(other.next().await.unwrap(), None);
}
