//! Rows of cards and of people: both are found by random numbers of 128 bits.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::error::StoreError;
use super::octets::{Octets, put_counted};
use super::overlay::broken;
use super::reading::{Read, Reading};
use super::rows::Rows;
use crate::record::{Card, CardId, CodecError, Holder, HolderId};

const CARDS: u8 = b'c';
const HOLDERS: u8 = b'h';

pub(super) fn card_key(card: CardId) -> Vec<u8> {
    key(CARDS, card.0)
}

pub(super) fn holder_key(holder: HolderId) -> Vec<u8> {
    key(HOLDERS, holder.0)
}

/// By the first two octets: of ten million, some 150 share a row.
fn key(tag: u8, id: u128) -> Vec<u8> {
    let [first, second, ..] = id.to_be_bytes();
    vec![tag, first, second]
}

pub(super) fn find_card(rows: &Rows, card: CardId) -> Result<Option<Card>, StoreError> {
    let row = rows.find(&card_key(card))?;
    row.map_or(Ok(None), |row| card_in(&row, card))
}

pub(super) fn find_holder(rows: &Rows, holder: HolderId) -> Result<Option<Holder>, StoreError> {
    let row = rows.find(&holder_key(holder))?;
    row.map_or(Ok(None), |row| holder_in(&row, holder))
}

/// As [`find_card`], by rows that are read once.
pub(super) fn read_card(reading: &Reading<'_>, card: CardId) -> Result<Option<Card>, StoreError> {
    card_in(&reading.row(card_key(card))?, card)
}

/// As [`find_holder`], by rows that are read once.
pub(super) fn read_holder(reading: &Reading<'_>, holder: HolderId) -> Result<Option<Holder>, StoreError> {
    holder_in(&reading.row(holder_key(holder))?, holder)
}

fn card_in(row: &[u8], card: CardId) -> Result<Option<Card>, StoreError> {
    find_in(row, card.0)?.map(Card::from_octets).transpose().map_err(unreadable)
}

fn holder_in(row: &[u8], holder: HolderId) -> Result<Option<Holder>, StoreError> {
    find_in(row, holder.0)?.map(Holder::from_octets).transpose().map_err(unreadable)
}

/// Every card and phone, in the order of their numbers.
pub(super) fn each_card(rows: &Rows, each: &mut dyn FnMut(Card)) -> Result<(), StoreError> {
    rows.each(&[CARDS], &mut |_, row| {
        for pair in pairs(row) {
            each(Card::from_octets(pair?.1).map_err(unreadable)?);
        }
        Ok(())
    })
}

/// Every person, in the order of their numbers.
pub(super) fn each_holder(rows: &Rows, each: &mut dyn FnMut(Holder)) -> Result<(), StoreError> {
    rows.each(&[HOLDERS], &mut |_, row| {
        for pair in pairs(row) {
            each(Holder::from_octets(pair?.1).map_err(unreadable)?);
        }
        Ok(())
    })
}

/// Rows as they will be written.
#[derive(Default)]
pub(super) struct Packed<'a>(BTreeMap<Vec<u8>, BTreeMap<u128, Cow<'a, [u8]>>>);

impl<'a> Packed<'a> {
    /// Puts what is kept under a number into its row, read before.
    pub(super) fn put(
        &mut self,
        read: &'a Read,
        key: Vec<u8>,
        id: u128,
        octets: Vec<u8>,
    ) -> Result<(), StoreError> {
        let row = match self.0.entry(key) {
            Entry::Occupied(row) => row.into_mut(),
            Entry::Vacant(place) => {
                let row = read.row(place.key());
                let kept = pairs(row).map(|pair| pair.map(|(id, octets)| (id, octets.into())));
                place.insert(kept.collect::<Result<_, _>>()?)
            }
        };
        row.insert(id, octets.into());
        Ok(())
    }

    pub(super) fn write(self, batch: &mut BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), StoreError> {
        for (key, row) in self.0 {
            let mut octets = Vec::new();
            for (id, kept) in row {
                octets.extend(id.to_be_bytes());
                put_counted(&mut octets, "row of a card or person", &kept)?;
            }
            batch.insert(key, octets);
        }
        Ok(())
    }
}

fn find_in(row: &[u8], wanted: u128) -> Result<Option<&[u8]>, StoreError> {
    for pair in pairs(row) {
        let (id, octets) = pair?;
        if id == wanted {
            return Ok(Some(octets));
        }
    }
    Ok(None)
}

/// What a row keeps, not yet read.
fn pairs(row: &[u8]) -> impl Iterator<Item = Result<(u128, &[u8]), StoreError>> {
    let mut rest = Octets(row);
    std::iter::from_fn(move || {
        if rest.0.is_empty() {
            return None;
        }
        let pair = rest.array().and_then(|id| Some((u128::from_be_bytes(id), rest.counted()?)));
        if pair.is_none() {
            rest = Octets(&[]);
        }
        Some(pair.ok_or_else(broken))
    })
}

fn unreadable(error: CodecError) -> StoreError {
    StoreError::Projection(error.to_string())
}
