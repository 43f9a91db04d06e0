//! What happens to people, and how often.

use super::dice::Dice;

/// Something that happens to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fortune {
    MovesWithin,
    MovesWard,
    MovesAway,
    Marries,
    BirthDateCorrected,
    SexCorrected,
    PlaceRenamed,
    Dies,
    RecordDeleted,
    LeavesCountry,
    LivesAbroad,
    LosesCard,
    LosesPhone,
    KeyLeaks,
    EndsSigning,
    GivesCardUp,
    CardDestroyed,
    WantsPhone,
    WantsCard,
}

/// How often it comes to a hundred thousand people in a year. It passes those by to whom it cannot
/// happen: who has no phone loses none. Moves, marriages and deaths are about as in Japan; the rest is
/// invented, more often than it is, so that a small country sees it too.
const YEARLY: [(Fortune, u64); 19] = [
    (Fortune::MovesWithin, 1_600),
    (Fortune::MovesWard, 1_500),
    (Fortune::MovesAway, 2_300),
    (Fortune::Marries, 450),
    (Fortune::BirthDateCorrected, 40),
    (Fortune::SexCorrected, 20),
    (Fortune::PlaceRenamed, 300),
    (Fortune::Dies, 1_300),
    (Fortune::RecordDeleted, 50),
    (Fortune::LeavesCountry, 150),
    (Fortune::LivesAbroad, 100),
    (Fortune::LosesCard, 1_200),
    (Fortune::LosesPhone, 6_000),
    (Fortune::KeyLeaks, 100),
    (Fortune::EndsSigning, 300),
    (Fortune::GivesCardUp, 150),
    (Fortune::CardDestroyed, 2_000),
    (Fortune::WantsPhone, 20_000),
    (Fortune::WantsCard, 30_000),
];

/// People times days of the year that [`YEARLY`] is for.
const SHARES: u64 = 100_000 * 365;

/// What happens on a day among so many people, and to which of them.
pub(super) fn of_a_day(dice: &mut Dice, people: usize) -> Vec<(usize, Fortune)> {
    let mut day = Vec::new();
    for (fortune, yearly) in YEARLY {
        let shares = yearly * u64::try_from(people).unwrap_or(0);
        let times = shares / SHARES + u64::from(dice.below(SHARES) < shares % SHARES);
        day.extend((0..times).map(|_| (dice.index(people), fortune)));
    }
    day
}
