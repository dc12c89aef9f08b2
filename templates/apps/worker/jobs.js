// What there is to do, by name. A job may be worked twice when a machine goes down in the middle: make it bear that.
export const jobs = {
  async greet({ name }) {
    console.log(`hello ${name}`);
  },
};
