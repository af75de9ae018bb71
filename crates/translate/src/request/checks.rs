//! What holds for requests of every API, checked on generated ones.

mod across;
mod bodies;
mod both;
mod clients;
mod identity;
mod seals;
mod shapes;
mod words;
