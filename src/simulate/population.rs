//! Residents: invented, and the same every time.

use std::collections::BTreeSet;

use time::{Date, Month};

use crate::office::{Application, Place, Spelling, SubjectKeySource};
use crate::pki::{CertificateKind, Partition};
use crate::profile::{Municipality, Profile};

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
const FIRST_YEAR: i32 = 1940;
const YEARS: usize = 60;

/// The places of a country, and people invented to live in them.
#[derive(Debug, Clone)]
pub struct Population {
    places: Vec<Municipality>,
    overseas_address: String,
}

/// An invented person.
#[derive(Debug, Clone, Copy)]
pub struct Person {
    /// Chooses name, sex and the block of the address.
    looks: u32,
    /// Date of birth.
    pub born: Date,
    /// The place they live in, or lived in last.
    pub home: usize,
    /// They moved overseas, and go on using their card.
    pub is_overseas: bool,
}

impl Population {
    /// The municipalities of the profile that people live in.
    #[must_use]
    pub fn new(profile: &Profile) -> Self {
        let places = profile.municipalities.residences().cloned().collect();
        Self { places, overseas_address: profile.overseas_address.clone() }
    }

    /// Where resident `number`, from 0, lives at first. A stride prime to the number of places:
    /// neighbours live far apart, nobody twice in one place before every place has somebody.
    #[must_use]
    pub fn home(&self, number: u32) -> usize {
        usize::try_from(u64::from(number) * 619).unwrap_or(0) % self.places.len().max(1)
    }

    /// Where the first `count` residents live.
    #[must_use]
    pub fn homes(&self, count: u32) -> BTreeSet<usize> {
        (0..count.min(u32::try_from(self.places.len()).unwrap_or(count)))
            .map(|number| self.home(number))
            .collect()
    }

    /// A place.
    #[must_use]
    pub fn place(&self, home: usize) -> Option<&Municipality> {
        self.places.get(home)
    }

    /// The CRL partition of a place.
    #[must_use]
    pub fn partition(&self, home: usize) -> Partition {
        self.place(home).map_or(Partition(0), |place| place.code)
    }

    /// Somebody of age; the same for the same number.
    #[must_use]
    pub fn adult(&self, number: u32) -> Person {
        let looks = mix(number);
        let year = FIRST_YEAR + i32::try_from(pick(looks, 8, YEARS)).unwrap_or(0);
        let month = u8::try_from(pick(looks, 14, 12) + 1).ok().and_then(|month| Month::try_from(month).ok());
        let day = u8::try_from(pick(looks, 18, 28) + 1).unwrap_or(1);
        let born = Date::from_calendar_date(year, month.unwrap_or(Month::January), day);
        Person { looks, born: born.unwrap_or(Date::MIN), home: self.home(number), is_overseas: false }
    }

    /// What a person applies for.
    #[must_use]
    pub fn application(&self, person: &Person, place: Place, kinds: &[CertificateKind]) -> Application {
        let looks = person.looks;
        let text = |names: &[&str], from| {
            names.get(pick(looks, from, names.len())).copied().unwrap_or_default().to_owned()
        };
        let home = self.place(person.home).filter(|_| !person.is_overseas);
        let here = home.map(|place| address(place, pick(looks, 22, 9) + 1));
        Application {
            name: format!("{}\u{3000}{}", text(&FAMILY_NAMES, 0), text(&GIVEN_NAMES, 4)),
            birth: person.born.to_string(),
            sex: if looks & 1 == 0 { "female" } else { "male" }.to_owned(),
            address: here.unwrap_or_else(|| self.overseas_address.clone()),
            spelling: Spelling::default(),
            municipality: self.partition(person.home),
            kinds: kinds.to_vec(),
            subject_key: SubjectKeySource::TestKey,
            place,
        }
    }
}

impl Person {
    /// Somebody born on that day; the same for the same number.
    #[must_use]
    pub fn born(number: u32, born: Date, home: usize) -> Self {
        Self { looks: mix(number), born, home, is_overseas: false }
    }
}

/// Some of the bits of `looks`, as one of `count` choices.
fn pick(looks: u32, from: u32, count: usize) -> usize {
    usize::try_from(looks >> from).unwrap_or(0) % count.max(1)
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
