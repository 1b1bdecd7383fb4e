//! What resources are members of, directly and through nested groups: for all resources of a page at once, so that a page
//! takes a few calls of the store and not a few for each resource.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::limits;
use crate::schema::Registry;

use super::edges::EdgeCounter;
use super::{KeyRange, Read, keys, repo};

/// One resource that a resource is a member of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership<'g> {
    /// Its id.
    pub id: &'g str,
    /// Its resource type's name.
    pub resource_type: &'g str,
    /// What it is called.
    pub display: &'g str,
    /// Whether by an edge of its own rather than through another group (RFC 7643 §4.1.2, `groups`).
    pub direct: bool,
}

/// Resources, what they are members of, and so on upwards.
#[derive(Clone, Debug, Default)]
pub struct Memberships {
    /// Of each member: what it is a direct member of.
    holders: BTreeMap<String, Vec<String>>,
    /// Of each of those: its type's name and what it is called.
    about: BTreeMap<String, (String, String)>,
}

/// The first keys of a range of memberships that are read with those of others, and followed to what they are memberships of:
/// few are in more groups, and who is has the rest read alone.
pub const FIRST: u32 = 40;
/// Ranges in one call.
const RANGES: usize = 200;

impl Memberships {
    /// Those of the resources with these ids, whose counters tell which of them are members of nothing.
    pub fn read<'i>(
        reader: &impl Read,
        registry: &Registry,
        of: impl IntoIterator<Item = (&'i str, EdgeCounter)>,
    ) -> Result<Self> {
        let mut found = Self::default();
        let members = of.into_iter().filter(|(_, counter)| counter.is_member());
        let mut level: Vec<String> = members.map(|(id, _)| id.to_owned()).collect();
        for _ in 0..limits::GROUP_DEPTH {
            let holders = found.read_holders(reader, &level)?;
            if holders.is_empty() {
                break;
            }
            level = found.read_about(reader, registry, &holders)?;
        }
        Ok(found)
    }

    /// Reads what the members of a level are direct members of; returns what was not met before.
    fn read_holders(&mut self, reader: &impl Read, level: &[String]) -> Result<Vec<String>> {
        let mut new = BTreeSet::new();
        for members in level.chunks(RANGES) {
            let ranges: Vec<KeyRange> = members.iter().map(|member| keys::memberships(member)).collect();
            let entries = reader.keys(&ranges, FIRST)?;
            for ((member, range), mut entries) in members.iter().zip(ranges).zip(entries) {
                if let Some(last) = entries.last().filter(|_| entries.len() >= FIRST as usize) {
                    entries.extend(reader.all_entries(&keys::after(&range, &last.key), true)?);
                }
                let holders: Vec<String> = entries.iter().map(|entry| keys::last_part(&entry.key)).collect();
                new.extend(holders.iter().filter(|id| !self.about.contains_key(*id)).cloned());
                self.holders.insert(member.clone(), holders);
            }
        }
        Ok(new.into_iter().collect())
    }

    /// Reads what there is to say of the holders of members; returns those that are members themselves and whose own holders
    /// are not read yet.
    fn read_about(&mut self, reader: &impl Read, registry: &Registry, holders: &[String]) -> Result<Vec<String>> {
        let mut nested = Vec::new();
        for holders in holders.chunks(limits::SCAN_BATCH as usize / 2) {
            let asked = holders.iter().flat_map(|id| [keys::alive(id), keys::edge_revision(id)]).collect::<Vec<_>>();
            let answers = reader.peek(&asked)?;
            for (id, answer) in holders.iter().zip(answers.chunks(2)) {
                // What was deleted is no holder any more, though its edges may still have to be swept.
                let [Some(alive), counter] = answer else { continue };
                let (resource_type, display) = repo::split_alive(alive);
                if registry.by_name(&resource_type).is_none() {
                    continue;
                }
                self.about.insert(id.clone(), (resource_type, display));
                if EdgeCounter::decode(counter.as_deref())?.is_member() && !self.holders.contains_key(id) {
                    nested.push(id.clone());
                }
            }
        }
        Ok(nested)
    }

    /// Those of one resource: the direct ones, then those through one nested group, and so on, each once. Cycles end where
    /// they close.
    pub fn of<'g>(&'g self, id: &'g str) -> Vec<Membership<'g>> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::from([id]);
        let mut level = vec![id];
        for depth in 0..limits::GROUP_DEPTH {
            let holders = level.iter().filter_map(|member| self.holders.get(*member)).flatten();
            let next: Vec<&str> = holders.map(String::as_str).filter(|id| seen.insert(id)).collect();
            let alive = next.into_iter().filter_map(|id| self.about.get(id).map(|about| (id, about)));
            level = Vec::new();
            for (id, (resource_type, display)) in alive {
                level.push(id);
                found.push(Membership { id, resource_type, display, direct: depth == 0 });
            }
        }
        found
    }
}
