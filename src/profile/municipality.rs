//! The table of municipalities: each in which people live is a CRL partition.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::pki::Partition;

/// The table as it ships: every code in use, and those retired whose certificates may live.
const TABLE: &str = include_str!("municipalities.csv");

/// First line of a table.
const HEADER: &str =
    "code,kind,prefecture_romaji,municipality_romaji,prefecture,municipality,designated_city_code";

/// A municipality, a designated city, or a ward of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Municipality {
    /// Its five-digit code.
    pub code: Partition,
    /// What it is.
    pub kind: MunicipalityKind,
    /// Prefecture in Latin letters, as certificates name it.
    pub prefecture_romaji: String,
    /// Its name in Latin letters, as certificates name it.
    pub municipality_romaji: String,
    /// Prefecture.
    pub prefecture: String,
    /// Its name.
    pub municipality: String,
    /// The designated city of a ward.
    pub designated_city: Option<Partition>,
    /// Another municipality of the prefecture has the same name in Latin letters.
    shares_name: bool,
}

/// What a code of the table stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MunicipalityKind {
    /// City, town, village, or special ward of Tokyo.
    Municipality,
    /// 政令指定都市.
    DesignatedCity,
    /// 行政区 of a designated city.
    Ward,
}

/// Why nobody lives there, as far as the table goes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoResidence {
    /// No such municipality.
    #[error("municipality {0} is not in the table: use its five-digit code, such as 13221")]
    Unknown(Partition),
    /// A designated city: its people live in its wards.
    #[error("nobody lives in {city} ({name}) outside its wards: name the ward, one of {}", codes(.wards))]
    DesignatedCity {
        /// The city.
        city: Partition,
        /// Its name.
        name: String,
        /// The codes of its wards.
        wards: Vec<Partition>,
    },
}

/// Why a table of municipalities is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MunicipalityError {
    /// The first line names other columns.
    #[error("the first line of the municipalities must be `{HEADER}`")]
    Header,
    /// A line is no municipality.
    #[error("line {line} of the municipalities is wrong: {problem}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A code occurs twice.
    #[error("municipality code {0} occurs twice: keep one line")]
    DuplicateCode(Partition),
    /// A ward of a city that is not in the table.
    #[error("the designated city of ward {0} is not listed: add it")]
    UnknownCity(Partition),
    /// Two municipalities would publish their CRLs under one name, and each would hide what
    /// the other revokes.
    #[error("municipality {0} shares the name of its CRL with another: change its romaji")]
    DuplicateName(Partition),
}

impl Municipality {
    /// CN of its distribution point. A name that occurs twice in a prefecture (Esashi-cho and
    /// Tomari-mura in Hokkaido) carries the code: one name must never mean two CRLs.
    #[must_use]
    pub fn crldp_name(&self) -> String {
        if self.shares_name {
            format!("{} {} CRLDP", self.municipality_romaji, self.code)
        } else {
            format!("{} CRLDP", self.municipality_romaji)
        }
    }
}

/// The municipalities by code.
#[derive(Clone)]
pub struct Municipalities {
    /// Ascending by code.
    rows: Vec<Municipality>,
}

impl Municipalities {
    /// The table that ships with the service.
    ///
    /// # Errors
    /// As [`Self::from_csv`].
    pub fn load() -> Result<Self, MunicipalityError> {
        Self::from_csv(TABLE)
    }

    /// Reads a table of the same columns as the one that ships; fields are not quoted.
    ///
    /// # Errors
    /// [`MunicipalityError`].
    pub fn from_csv(text: &str) -> Result<Self, MunicipalityError> {
        let mut lines = text.lines().enumerate();
        if lines.next().is_none_or(|(_, header)| header != HEADER) {
            return Err(MunicipalityError::Header);
        }
        let mut rows = lines
            .filter(|(_, line)| !line.is_empty())
            .map(|(at, line)| row(line).map_err(|problem| MunicipalityError::Line { line: at + 1, problem }))
            .collect::<Result<Vec<_>, _>>()?;
        rows.sort_by_key(|row| row.code);
        refuse_duplicate_codes(&rows)?;
        refuse_unknown_cities(&rows)?;
        mark_shared_names(&mut rows);
        refuse_duplicate_names(&rows)?;
        Ok(Self { rows })
    }

    /// The municipality with this code.
    #[must_use]
    pub fn find(&self, code: Partition) -> Option<&Municipality> {
        let at = self.rows.binary_search_by_key(&code, |row| row.code).ok()?;
        self.rows.get(at)
    }

    /// The municipality with this code, as the place where somebody lives: the door of every code that
    /// comes from outside. A designated city is divided into wards, without a rest.
    ///
    /// # Errors
    /// [`NoResidence`].
    pub fn residence(&self, code: Partition) -> Result<&Municipality, NoResidence> {
        match self.find(code) {
            None => Err(NoResidence::Unknown(code)),
            Some(city) if city.kind == MunicipalityKind::DesignatedCity => Err(NoResidence::DesignatedCity {
                city: code,
                name: city.municipality.clone(),
                wards: self.wards(code).map(|ward| ward.code).collect(),
            }),
            Some(municipality) => Ok(municipality),
        }
    }

    /// Where people live, ascending by code: only these stand in certificates, and are partitions.
    pub fn residences(&self) -> impl Iterator<Item = &Municipality> {
        self.rows.iter().filter(|row| row.kind != MunicipalityKind::DesignatedCity)
    }

    /// The wards of a designated city, ascending by code.
    fn wards(&self, city: Partition) -> impl Iterator<Item = &Municipality> {
        self.rows.iter().filter(move |row| row.designated_city == Some(city))
    }

    /// All, ascending by code.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Municipality> {
        self.rows.iter()
    }
}

impl fmt::Debug for Municipalities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Municipalities({})", self.rows.len())
    }
}

fn codes(codes: &[Partition]) -> String {
    codes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn row(line: &str) -> Result<Municipality, &'static str> {
    let fields: Vec<&str> = line.split(',').collect();
    let [code, kind, prefecture_romaji, municipality_romaji, prefecture, municipality, city] = *fields else {
        return Err("write seven fields");
    };
    let kind = match kind {
        "municipality" => MunicipalityKind::Municipality,
        "designated_city" => MunicipalityKind::DesignatedCity,
        "ward" => MunicipalityKind::Ward,
        _ => return Err("the kind is municipality, designated_city or ward"),
    };
    let designated_city = match (kind, city) {
        (MunicipalityKind::Ward, city) => {
            Some(city.parse().map_err(|_| "a ward names its designated city by code")?)
        }
        (_, "") => None,
        _ => return Err("only a ward belongs to a designated city"),
    };
    if [prefecture_romaji, municipality_romaji, prefecture, municipality]
        .iter()
        .any(|name| name.is_empty() || name.trim() != *name)
    {
        return Err("a name is empty or begins or ends with a space");
    }
    if [prefecture_romaji, municipality_romaji].iter().any(|name| !name.is_ascii()) {
        return Err("romaji is ASCII");
    }
    Ok(Municipality {
        code: code.parse().map_err(|_| "the code has five digits")?,
        kind,
        prefecture_romaji: prefecture_romaji.to_owned(),
        municipality_romaji: municipality_romaji.to_owned(),
        prefecture: prefecture.to_owned(),
        municipality: municipality.to_owned(),
        designated_city,
        shares_name: false,
    })
}

/// `rows` are sorted by code.
fn refuse_duplicate_codes(rows: &[Municipality]) -> Result<(), MunicipalityError> {
    match rows.windows(2).find(|pair| matches!(pair, [one, next] if one.code == next.code)) {
        Some([one, ..]) => Err(MunicipalityError::DuplicateCode(one.code)),
        _ => Ok(()),
    }
}

fn refuse_unknown_cities(rows: &[Municipality]) -> Result<(), MunicipalityError> {
    let cities: HashSet<Partition> =
        rows.iter().filter(|row| row.kind == MunicipalityKind::DesignatedCity).map(|row| row.code).collect();
    let is_orphan = |row: &&Municipality| row.designated_city.is_some_and(|city| !cities.contains(&city));
    match rows.iter().find(is_orphan) {
        Some(row) => Err(MunicipalityError::UnknownCity(row.code)),
        None => Ok(()),
    }
}

fn mark_shared_names(rows: &mut [Municipality]) {
    let mut count: HashMap<(String, String), usize> = HashMap::new();
    let key = |row: &Municipality| (row.prefecture_romaji.clone(), row.municipality_romaji.clone());
    for row in rows.iter() {
        *count.entry(key(row)).or_default() += 1;
    }
    for row in rows {
        row.shares_name = count.get(&key(row)).is_some_and(|count| *count > 1);
    }
}

fn refuse_duplicate_names(rows: &[Municipality]) -> Result<(), MunicipalityError> {
    let mut names = HashSet::new();
    match rows.iter().find(|row| !names.insert((row.prefecture_romaji.as_str(), row.crldp_name()))) {
        Some(row) => Err(MunicipalityError::DuplicateName(row.code)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&str]) -> Result<Municipalities, MunicipalityError> {
        Municipalities::from_csv(&format!("{HEADER}\n{}\n", rows.join("\n")))
    }

    #[test]
    fn the_table_holds_1922_codes() {
        let all = Municipalities::load().unwrap();
        let count = |kind| all.iter().filter(|row| row.kind == kind).count();
        assert_eq!(all.iter().len(), 1922);
        assert_eq!(count(MunicipalityKind::Municipality), 1727);
        assert_eq!(count(MunicipalityKind::DesignatedCity), 20);
        assert_eq!(count(MunicipalityKind::Ward), 175);
        let kiyose = all.find(Partition(13221)).unwrap();
        assert_eq!((kiyose.prefecture.as_str(), kiyose.municipality.as_str()), ("東京都", "清瀬市"));
        let ward = all.find(Partition(1101)).unwrap();
        assert_eq!(ward.designated_city, Some(Partition(1100)));
        assert_eq!(ward.code.to_string(), "01101");
        assert!(all.find(Partition(13999)).is_none());
    }

    #[test]
    fn c_3_people_live_in_1902_places_and_in_no_designated_city() {
        let all = Municipalities::load().unwrap();
        assert_eq!(all.residences().count(), 1902);
        for place in all.residences() {
            assert_eq!(all.residence(place.code), Ok(place));
        }
        let cities = all.iter().filter(|row| row.kind == MunicipalityKind::DesignatedCity);
        let mut wards_of_all = 0;
        for city in cities {
            let Err(NoResidence::DesignatedCity { city: named, wards, .. }) = all.residence(city.code) else {
                panic!("{} is taken for a residence", city.code)
            };
            assert_eq!(named, city.code);
            assert!(wards.len() >= 3, "{} has {} wards", city.code, wards.len());
            assert!(wards.iter().all(|ward| all.residence(*ward).is_ok()));
            wards_of_all += wards.len();
        }
        assert_eq!(wards_of_all, 175);
        let yokohama = all.residence(Partition(14100)).unwrap_err().to_string();
        let wanted =
            "nobody lives in 14100 (横浜市) outside its wards: name the ward, one of 14101, 14102, 14103,";
        assert!(yokohama.starts_with(wanted) && yokohama.ends_with("14117, 14118"), "{yokohama}");
        assert_eq!(all.residence(Partition(13999)), Err(NoResidence::Unknown(Partition(13999))));
    }

    #[test]
    fn shared_names_carry_their_code_and_no_others_do() {
        let all = Municipalities::load().unwrap();
        let with_code: Vec<String> = all
            .iter()
            .map(Municipality::crldp_name)
            .filter(|name| name.contains(|c: char| c.is_ascii_digit()))
            .collect();
        assert_eq!(
            with_code,
            [
                "Esashi-cho 01361 CRLDP",
                "Tomari-mura 01403 CRLDP",
                "Esashi-cho 01514 CRLDP",
                "Tomari-mura 01696 CRLDP"
            ]
        );
        assert_eq!(all.find(Partition(13221)).unwrap().crldp_name(), "Kiyose-shi CRLDP");
    }

    #[test]
    fn duplicates_are_refused() {
        let one = "01361,municipality,Hokkaido,Esashi-cho,北海道,江差町,";
        assert!(table(&[one]).is_ok());
        assert_eq!(table(&[one, one]).unwrap_err(), MunicipalityError::DuplicateCode(Partition(1361)));
        let two = "01514,municipality,Hokkaido,Esashi-cho,北海道,枝幸町,";
        let sly = "01999,municipality,Hokkaido,Esashi-cho 01361,北海道,某町,";
        assert!(table(&[one, two]).is_ok());
        assert!(table(&[one, sly]).is_ok());
        assert_eq!(table(&[one, two, sly]).unwrap_err(), MunicipalityError::DuplicateName(Partition(1999)));
    }

    #[test]
    fn lines_that_are_no_municipality_are_refused_with_their_number() {
        let good = "13221,municipality,Tokyo-to,Kiyose-shi,東京都,清瀬市,";
        assert!(table(&[good]).is_ok());
        for bad in [
            "1322,municipality,Tokyo-to,Kiyose-shi,東京都,清瀬市,",
            "13221,village,Tokyo-to,Kiyose-shi,東京都,清瀬市,",
            "13221,municipality,Tokyo-to,Kiyose-shi,東京都,清瀬市",
            "13221,municipality,Tokyo-to,,東京都,清瀬市,",
            "13221,municipality,Tokyo-to, Kiyose-shi,東京都,清瀬市,",
            "13221,municipality,東京都,Kiyose-shi,東京都,清瀬市,",
            "13221,municipality,Tokyo-to,Kiyose-shi,東京都,清瀬市,01100",
            "13221,ward,Tokyo-to,Kiyose-shi,東京都,清瀬市,",
        ] {
            assert!(matches!(table(&[bad]), Err(MunicipalityError::Line { line: 2, .. })), "{bad}");
        }
        assert_eq!(
            table(&["13221,ward,Tokyo-to,Kiyose-shi,東京都,清瀬市,13222"]).unwrap_err(),
            MunicipalityError::UnknownCity(Partition(13221))
        );
        assert_eq!(Municipalities::from_csv(good).unwrap_err(), MunicipalityError::Header);
        assert_eq!(Municipalities::from_csv("").unwrap_err(), MunicipalityError::Header);
    }
}
