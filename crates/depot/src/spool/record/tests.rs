//! Records under damage: cut anywhere, or with a byte changed anywhere.

use proptest::prelude::*;

use super::*;

fn row(number: u64) -> UsageRow {
    UsageRow {
        request: format!("req_{number}").into(),
        at: 1_764_079_387_123,
        organisation: "org_1".into(),
        workspace: "wrkspc_1".into(),
        key: "key_1".into(),
        model_asked: "m".repeat(usize::try_from(number * 37 % 300).unwrap()),
        model_served: "claude-opus-5-5".to_owned(),
        upstream: "anthropic".to_owned(),
        api: "messages".to_owned(),
        usage: Usage {
            input: number,
            cache_read: 2,
            cache_write_5m: 3,
            cache_write_1h: 4,
            output: 5,
            thinking: 1,
        },
        web_searches: 1,
        cost: Money::from_picos(-7),
        split: number.is_multiple_of(5).then(|| CostSplit {
            input: Money::from_picos(-9),
            output: Money::from_picos(2),
            ..CostSplit::default()
        }),
        service_tier: "standard".to_owned(),
        inference_geo: "us".to_owned(),
        speed: "fast".to_owned(),
        batch: number.is_multiple_of(2),
        context_window: ContextWindow::Long,
        status: 200,
        streamed: true,
        latency_ms: 1_234,
        estimated: number.is_multiple_of(3),
    }
}

fn rates() -> Rates {
    Rates {
        input: Money::from_picos(4_000_000),
        output: Money::from_picos(20_000_000),
        ..Rates::default()
    }
}

/// A segment, with where each of its records ends and what it says.
fn segment(count: u64) -> (Vec<u8>, Vec<(usize, Record)>) {
    let (mut bytes, mut expected) = (Vec::new(), Vec::new());
    for number in 0..count {
        let (mut begun, slots) = begun(&row(number), &rates());
        let progress = (number % 4 > 0).then(|| {
            let usage = row(number).usage;
            for generation in 1..=u32::try_from(number % 4).unwrap() {
                let at = usize::try_from(slots).unwrap() + generation as usize % 2 * SLOT_BYTES;
                let slot = Slot { generation, usage };
                begun[at..at + SLOT_BYTES].copy_from_slice(&slot.encode(State::UnderWay));
            }
            usage
        });
        bytes.extend(begun);
        let unsplit = UsageRow {
            split: None,
            ..row(number)
        };
        expected.push((bytes.len(), under_way(unsplit, rates(), progress)));
        bytes.extend(ended(&row(number)));
        expected.push((bytes.len(), Record::Ended(Box::new(row(number)))));
    }
    (bytes, expected)
}

#[test]
fn what_is_written_is_read() {
    let (bytes, expected) = segment(20);
    let (records, torn) = read(&bytes);
    let expected: Vec<_> = expected.into_iter().map(|(_, record)| record).collect();
    assert_eq!((records, torn), (expected, 0));
}

#[test]
fn a_slot_that_is_torn_leaves_the_one_before() {
    let (mut bytes, slots) = begun(&row(1), &rates());
    let slots = usize::try_from(slots).unwrap();
    let usage = |output| Usage {
        output,
        ..Usage::default()
    };
    let mut put = |generation: u32, state, written: usize| {
        let slot = Slot {
            generation,
            usage: usage(generation.into()),
        };
        let at = slots + generation as usize % 2 * SLOT_BYTES;
        bytes[at..at + written].copy_from_slice(&slot.encode(state)[..written]);
        read(&bytes).0.remove(0)
    };
    let progress = |count| under_way(row(1), rates(), Some(usage(count)));
    assert_eq!(put(1, State::UnderWay, SLOT_BYTES), progress(1));
    assert_eq!(put(2, State::UnderWay, 20), progress(1));
    assert_eq!(put(2, State::UnderWay, SLOT_BYTES), progress(2));
    assert_eq!(put(3, State::UnderWay, 50), progress(2));
    assert_eq!(put(3, State::Ended, SLOT_BYTES), Record::Marked);
}

#[test]
fn a_text_that_looks_like_a_record_is_none() {
    let mut row = row(1);
    row.model_asked = String::from_utf8_lossy(&ended(&self::row(2))).into_owned();
    let (mut bytes, _) = begun(&row, &rates());
    bytes[0] = 0;
    let (records, torn) = read(&bytes);
    assert_eq!((records, torn), (Vec::new(), bytes.len() as u64));
}

proptest! {
    /// Cut anywhere, all that was whole before the cut is read, and nothing else but a beginning whose
    /// slots were cut off.
    #[test]
    fn a_segment_cut_anywhere_keeps_what_was_whole(count in 1u64..12, cut in 0.0f64..1.0) {
        let (bytes, expected) = segment(count);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
            reason = "a place within the bytes")]
        let cut = (bytes.len() as f64 * cut) as usize;
        let (records, _) = read(&bytes[..cut]);
        let whole = expected.iter().take_while(|(end, _)| *end <= cut).count();
        prop_assert!(records.len() >= whole && records.len() <= whole + 1);
        for (record, (_, expected)) in records.iter().zip(&expected[..whole]) {
            prop_assert_eq!(record, expected);
        }
        if let Some(last) = records.get(whole) {
            let (Record::Begun(last), (_, Record::Begun(wanted))) = (last, &expected[whole]) else {
                // The end's padding was cut off.
                prop_assert_eq!(last, &expected[whole].1);
                return Ok(());
            };
            prop_assert_eq!(&last.row, &wanted.row);
        }
    }

    /// One byte changed anywhere costs at most the record that it is in; no other is misread.
    #[test]
    fn damage_costs_one_record(count in 1u64..12, at in 0.0f64..1.0, byte in 1u8..=255) {
        let (mut bytes, expected) = segment(count);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
            reason = "a place within the bytes")]
        let at = (bytes.len() as f64 * at) as usize;
        bytes[at] ^= byte;
        let hit = expected.iter().take_while(|(end, _)| *end <= at).count();
        let (records, _) = read(&bytes);
        let mut others: Vec<_> = expected.into_iter().map(|(_, record)| record).collect();
        others.remove(hit);
        let mut found = records.into_iter();
        for other in others {
            prop_assert!(found.any(|record| record == other));
        }
    }
}
