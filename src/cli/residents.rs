//! Residents of a demo: invented, and the same every time.

use std::collections::BTreeSet;

use crate::office::{Application, Place, Spelling, SubjectKeySource};
use crate::pki::{CertificateKind, Partition};
use crate::profile::{Municipality, MunicipalityKind, Profile};

const FAMILY_NAMES: [&str; 16] = [
    "関所",
    "山本",
    "中里",
    "松山",
    "下宿",
    "野塩",
    "旭が丘",
    "竹丘",
    "元町",
    "梅園",
    "上清戸",
    "中清戸",
    "下清戸",
    "空堀",
    "柳瀬",
    "箱根",
];
const GIVEN_NAMES: [&str; 16] = [
    "花子",
    "太郎",
    "一郎",
    "さくら",
    "健",
    "美咲",
    "大輔",
    "陽子",
    "翔",
    "葵",
    "直樹",
    "恵",
    "亮",
    "千尋",
    "蓮",
    "結衣",
];

/// Years of birth start here; all are of age.
const FIRST_YEAR: u32 = 1940;
const YEARS: u32 = 60;

/// What a twentieth of the residents go through, in turn.
const FATES: [Fate; 5] = [
    Fate { event: "move-within", certificate: None },
    Fate { event: "death", certificate: None },
    Fate { event: "re-issue", certificate: None },
    Fate { event: "key-compromise", certificate: Some(CertificateKind::CardAuth) },
    Fate { event: "card-abolition", certificate: None },
];

/// What a hundredth go through.
const LOST: Fate = Fate { event: "card-suspension", certificate: None };

/// Something that is reported of a resident, or of their card.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    /// The rule's name.
    pub(super) event: &'static str,
    /// The certificate it names.
    pub(super) certificate: Option<CertificateKind>,
}

/// An invented population.
pub(super) struct Population {
    count: u32,
    homes: Vec<Municipality>,
}

impl Population {
    /// `count` residents, spread over the municipalities of the profile. A designated city's
    /// people live in its wards.
    pub(super) fn new(count: u32, profile: &Profile) -> Self {
        let lived_in = |place: &&Municipality| place.kind != MunicipalityKind::DesignatedCity;
        Self { count, homes: profile.municipalities.iter().filter(lived_in).cloned().collect() }
    }

    /// Where the first `count` residents live.
    pub(super) fn homes(&self, count: u32) -> BTreeSet<Partition> {
        (0..count).filter_map(|number| self.home(number)).map(|place| place.code).collect()
    }

    fn home(&self, number: u32) -> Option<&Municipality> {
        // A stride prime to the number of places: neighbours live far apart, nobody twice in one
        // place before every place has somebody.
        let home = usize::try_from(u64::from(number) * 619).unwrap_or(0) % self.homes.len().max(1);
        self.homes.get(home)
    }

    /// The application of resident `number`, from 0.
    pub(super) fn application(&self, number: u32) -> Application {
        let mixed = mix(number);
        let pick = |from: u32, count: usize| usize::try_from(mixed >> from).unwrap_or(0) % count.max(1);
        let text =
            |names: &[&str], from| names.get(pick(from, names.len())).copied().unwrap_or_default().to_owned();
        let home = self.home(number);
        let year = FIRST_YEAR + u32::try_from(pick(8, 60)).unwrap_or(0) % YEARS;
        let (month, day) = (pick(14, 12) + 1, pick(18, 28) + 1);
        Application {
            name: format!("{}\u{3000}{}", text(&FAMILY_NAMES, 0), text(&GIVEN_NAMES, 4)),
            birth: format!("{year}-{month:02}-{day:02}"),
            sex: if mixed & 1 == 0 { "female" } else { "male" }.to_owned(),
            address: home.map(|place| address(place, pick(22, 9) + 1)).unwrap_or_default(),
            spelling: Spelling::default(),
            municipality: home.map_or(Partition(0), |place| place.code),
            kinds: vec![CertificateKind::CardSign, CertificateKind::CardAuth],
            subject_key: SubjectKeySource::TestKey,
            place: Place::New,
        }
    }

    /// What becomes of resident `number`: one in twenty is revoked, one in a hundred held, and
    /// in a small population enough of each to try.
    pub(super) fn fate(&self, number: u32) -> Option<Fate> {
        let (revoked_every, held_every) = if self.count < 500 { (6, 17) } else { (20, 100) };
        if number % revoked_every == 3 {
            let turn = usize::try_from(number / revoked_every).unwrap_or(0) % FATES.len();
            FATES.get(turn).copied()
        } else if number % held_every == 7 % held_every {
            Some(LOST)
        } else {
            None
        }
    }
}

fn address(place: &Municipality, block: usize) -> String {
    let name = place.municipality.as_str();
    let prefecture = place.prefecture.as_str();
    format!("{prefecture}{name}一丁目{block}番地")
}

/// Scatters the bits of a number (the finaliser of MurmurHash3).
fn mix(number: u32) -> u32 {
    let mut x = number.wrapping_add(0x9e37_79b9);
    x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
    x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
    x ^ (x >> 16)
}
